"""`tracelink rules check` and `tracelink rules test`, as their user runs them."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pipeline.cli.root import main
from tests.kit.datasets import needs_shared, recorded

NOW = 1_790_000_000_000_000
"""In microseconds: 2026-09-21T14:13:20Z."""
SECOND = 1_000_000
RULES = """\
[[rule]]
name = "payments"
match.service = "pay*"
severity = "critical"
threshold = { count = 3, window = "1m" }
"""


def run(*arguments: str | Path, standard_input: str | None = None) -> Result:
    return CliRunner().invoke(main, ["rules", *map(str, arguments)], input=standard_input)


def span(trace: int, at: int = 0, service: str = "payment", **tags: str) -> dict[str, Any]:
    return {
        "traceId": f"{trace:032x}",
        "id": "a",
        "kind": "SERVER",
        "name": "POST /pay",
        "timestamp": NOW + at * SECOND,
        "duration": 1000,
        "localEndpoint": {"serviceName": service},
        "tags": tags,
    }


def errored(trace: int, at: int = 0, service: str = "payment", error: str = "card declined") -> dict[str, Any]:
    return span(trace, at, service, error=error)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(RULES)
    return path


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """Four traces of one problem and one of another, on one page as Zipkin downloads it, and one without an error."""
    path = tmp_path / "traces.json"
    found = [[errored(number, at=number)] for number in range(1, 5)]
    path.write_text(json.dumps([*found, [errored(5, service="shop", error="no stock")], [span(6)]], indent=1))
    return path


def report_problems(*arguments: str | Path) -> dict[str, Any]:
    done = run("test", *arguments, "--json")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_right_file_is_told_to_be_right(rules: Path) -> None:
    done = run("check", rules)
    assert (done.exit_code, done.stdout) == (0, f"{rules} is valid: 1 rule.\n")


def test_a_wrong_file_is_told_with_its_lines(rules: Path) -> None:
    rules.write_text(RULES.replace("count = 3", "count = 0"))
    for done in (run("check", rules), run("test", rules, "--traces", rules)):
        assert done.exit_code == 1
        assert done.stderr == f"Error: {rules}:5: rule[1].threshold.count: must be at least 1\n"


def test_what_would_have_alerted_is_shown(rules: Path, traces: Path) -> None:
    found = report_problems(rules, "--traces", traces)
    assert (found["traces"], found["errored"], found["refused"], found["unlinkedLogs"]) == (6, 5, 0, 0)
    many, one = found["problems"]
    assert (many["count"], many["service"], many["operation"]) == (4, "payment", "POST /pay")
    assert (many["rule"], many["severity"], many["overThreshold"]) == ("payments", "critical", True)
    assert (one["count"], one["rule"], one["severity"], one["overThreshold"]) == (1, None, "error", None)
    assert [(alert["event"], alert["fingerprint"]) for alert in found["alerts"]] == [
        ("NEW", one["fingerprint"]),
        ("NEW", many["fingerprint"]),
        ("RATE", many["fingerprint"]),
    ]
    assert (many["alerts"], one["alerts"]) == (["NEW", "RATE"], ["NEW"])


def test_the_table_has_a_line_a_problem_and_says_what_it_adds_up_to(rules: Path, traces: Path) -> None:
    done = run("test", rules, "--traces", traces)
    assert done.exit_code == 0, done.output
    rows = [line.split() for line in done.stdout.splitlines()]
    (many,) = [row for row in rows if row[:1] == ["4"]]
    assert many[2:] == [
        "payments",
        "critical",
        "no",
        "yes",
        "NEW,",
        "RATE",
        "payment",
        "POST",
        "/pay",
        "card",
        "declined",
    ]
    (one,) = [row for row in rows if row[:1] == ["1"]]
    assert one[2:] == ["-", "error", "no", "-", "NEW", "shop", "POST", "/pay", "no", "stock"]
    assert "Traces: 6, errored: 5. Problems: 2. Alerts: 2 NEW, 1 RATE." in done.stdout


def test_a_mute_holds_at_the_times_of_the_traces(rules: Path, traces: Path) -> None:
    rules.write_text(RULES + "mute.until = 2026-09-21T14:13:23Z\n")
    many, _ = report_problems(rules, "--traces", traces)["problems"]
    assert (many["muted"], many["alerts"]) == (False, ["NEW", "RATE"])
    rules.write_text(RULES + "mute.until = 2026-09-21T15:00:00Z\n")
    many, one = report_problems(rules, "--traces", traces)["problems"]
    assert (many["muted"], many["alerts"]) == (True, [])
    assert one["alerts"] == ["NEW"]
    assert "none" in run("test", rules, "--traces", traces).stdout


def test_what_is_quiet_for_long_is_told_again(rules: Path, tmp_path: Path) -> None:
    traces = tmp_path / "traces.jsonl.gz"
    lines = [json.dumps(errored(number, at=number * 3600)) for number in (3, 1, 2)]
    traces.write_bytes(gzip.compress("\n".join(lines).encode()))
    (found,) = report_problems(rules, "--spans", traces)["problems"]
    assert found["alerts"] == ["NEW", "RESOLVED", "BACK", "RESOLVED", "BACK"]
    (found,) = report_problems(rules, "--spans", traces, "--quiet-after", "7200")["problems"]
    assert found["alerts"] == ["NEW"]
    (found,) = report_problems(rules, "--spans", traces, "--known-for", "1800")["problems"]
    assert (found["count"], found["alerts"]) == (3, ["NEW", "RESOLVED", "NEW", "RESOLVED", "NEW"])


def test_log_lines_are_joined_by_their_trace_id(rules: Path, tmp_path: Path) -> None:
    spans, logs = tmp_path / "spans.json", tmp_path / "app.jsonl"
    spans.write_text(json.dumps([span(1)]))
    line = {"time": "2026-09-21T14:13:20Z", "level": "error", "service": "payment", "message": "no answer"}
    logs.write_text("\n".join(json.dumps(one) for one in ({**line, "trace_id": f"{1:032x}", "span_id": "a"}, line)))
    found = report_problems(rules, "--traces", spans, "--logs", logs)
    (problem,) = found["problems"]
    assert (found["traces"], found["errored"], found["unlinkedLogs"]) == (1, 1, 1)
    assert (problem["operation"], problem["message"]) == ("POST /pay", "no answer")
    assert "Log lines without a trace id, which are not used: 1." in run("test", rules, "--logs", logs).stdout


def test_the_fields_of_the_fingerprint_tell_problems_apart(rules: Path, tmp_path: Path) -> None:
    traces = tmp_path / "traces.json"
    traces.write_text(json.dumps([span(number, error="x", tenant=f"t{number % 2}") for number in range(1, 5)]))
    assert len(report_problems(rules, "--traces", traces)["problems"]) == 1
    rules.write_text('fingerprint.add = ["tags.tenant"]\n' + RULES)
    assert len(report_problems(rules, "--traces", traces)["problems"]) == 2


def test_the_http_status_of_an_error_is_a_setting(rules: Path, tmp_path: Path) -> None:
    traces = tmp_path / "traces.json"
    traces.write_text(json.dumps([{**span(1), "tags": {"http.status_code": "404"}}]))
    assert report_problems(rules, "--traces", traces)["errored"] == 0
    assert report_problems(rules, "--traces", traces, "--error-http-status", "400")["errored"] == 1


def test_refused_lines_are_shown_and_the_rest_counts(rules: Path, tmp_path: Path) -> None:
    traces = tmp_path / "traces.jsonl"
    traces.write_text(f'{json.dumps(errored(1))}\n{{"id": "a"}}\nno json\n')
    done = run("test", rules, "--traces", traces)
    assert done.exit_code == 1
    assert "Traces: 1, errored: 1." in done.stdout
    assert f"{traces}:2: traceId" in done.stderr
    assert f"{traces}:3: no JSON" in done.stderr
    assert run("test", rules, "--traces", traces, "--skip-invalid").exit_code == 0


def test_texts_of_services_are_neither_markup_nor_commands_to_the_terminal(rules: Path, tmp_path: Path) -> None:
    traces = tmp_path / "traces.json"
    traces.write_text(json.dumps([errored(1, service="[red]pay[/red]\x1b[2J", error="[b]two\nlines\x9b1m\u202e[/")]))
    done = run("test", rules, "--traces", traces)
    assert "[red]pay[/red] [2J" in done.stdout
    assert "[b]two lines 1m [/" in done.stdout
    assert not {"\x1b", "\x9b", "\u202e"} & set(done.stdout)


def test_secrets_are_not_shown(rules: Path, tmp_path: Path) -> None:
    traces = tmp_path / "traces.json"
    traces.write_text(json.dumps([errored(1, error="login of ann@example.org with password=hunter2 failed")]))
    for output in (
        run("test", rules, "--traces", traces).stdout,
        json.dumps(report_problems(rules, "--traces", traces)),
    ):
        assert "login of" in output
        assert "hunter2" not in output
        assert "ann@example.org" not in output


def test_wrong_usage_is_told(rules: Path, tmp_path: Path) -> None:
    done = run("test", rules)
    assert done.exit_code == 2
    assert "--traces FILE" in done.stderr
    assert run("test", rules, "--traces", "-", "--logs", "-").exit_code == 2
    done = run("test", rules, "--traces", tmp_path / "gone.json")
    assert (done.exit_code, "gone.json" in done.stderr) == (1, True)


@needs_shared
def test_every_errored_trace_of_recorded_data_is_in_a_problem(rules: Path) -> None:
    data = recorded("trainticket")
    assert data.logs
    found = report_problems(rules, "--traces", data.spans, "--logs", data.logs)
    assert found["errored"] == len(data.errored) == sum(problem["count"] for problem in found["problems"])
    assert found["traces"] == len(data.traces)
