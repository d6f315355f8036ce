"""`tracelink trace ID`: a trace from Elasticsearch on a terminal, as JSON, and to Zipkin."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from pipeline.cli.root import main
from pipeline.local.stack import Endpoints
from sinks.base.contract import Outcome
from sinks.elasticsearch.settings import ElasticsearchSettings
from sinks.elasticsearch.sink import ElasticsearchSink
from sinks.trace.search import FoundTrace
from sinks.trace.view import view
from tests.kit.http import http_request
from tests.kit.http_stub import Request, stub
from tests.kit.sink_examples import ERRORED, ROOT, START, batch, log, new_trace_id, part, span
from tests.kit.sink_targets import NOWHERE, metrics, search
from tests.kit.terminal import in_terminal
from tests.kit.waiting import eventually
from tracelink.model.records import LogRecord, Span

TRACE = bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at(milliseconds: float) -> int:
    return START + round(milliseconds * 1000)


def json_span(span_id: str, parent: str | None = None, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - of Zipkin's JSON
    made = {
        "traceId": TRACE.hex(),
        "id": span_id,
        "name": f"op {span_id}",
        "timestamp": START,
        "duration": 20_000,
        "localEndpoint": {"serviceName": "cart"},
    }
    return made | ({"parentId": parent} if parent else {}) | fields


def json_line(message: str, milliseconds: float = 1, span_id: str | None = None, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    time = (_EPOCH + timedelta(microseconds=at(milliseconds))).isoformat().replace("+00:00", "Z")
    made = {"_id": message, "@timestamp": time, "message": message, "service": {"name": "cart"}}
    return made | ({"span": {"id": span_id}} if span_id else {}) | fields


def shown(spans: Sequence[dict[str, Any]], lines: Sequence[dict[str, Any]] = (), *, colours: bool = False) -> list[str]:
    console = Console(file=StringIO(), force_terminal=colours, width=40, highlight=False)
    for text in view(FoundTrace(TRACE, [], list(spans), list(lines))):
        console.print(text, soft_wrap=True)
    file = console.file
    assert isinstance(file, StringIO)
    return file.getvalue().splitlines()


def names(lines: Sequence[str]) -> list[str]:
    """Return the first three words of each line but the summary, with its indentation."""
    return [line[: len(line) - len(line.lstrip())] + " ".join(line.split()[:3]) for line in lines[1:]]


def test_calls_are_a_tree_with_their_lines_in_place_and_durations() -> None:
    lines = shown(
        [
            json_span("2", "1", kind="CLIENT", timestamp=at(5), duration=9000),
            json_span("1", timestamp=at(0), kind="SERVER", name="get /cart"),
            json_span("3", "2", timestamp=at(6), localEndpoint={"serviceName": "pay"}, tags={"error": "no answer"}),
        ],
        [
            json_line("last", 18, "1"),
            json_line("first", 1, "1", log={"level": "INFO"}),
            json_line("failed", 7, "3", log={"level": "ERROR"}, error={"type": "OSError", "message": "gone"}),
            json_line("no span", 2, service={"name": "pay"}),
            json_line("of nobody", 3, service={"name": "other"}),
        ],
    )
    assert lines == [
        f"trace {TRACE.hex()}: 3 spans and 5 log lines of 3 services, 26.0 ms, from 2026-01-01 00:00:00.000 UTC",
        "cart get /cart  server, 20.0 ms, at +0.0 ms",
        "  · 00:00:00.001 INFO first",
        "  · 00:00:00.003 of nobody",
        "  cart op 2  client, 9.0 ms, at +5.0 ms",
        "    pay op 3  20.0 ms, at +6.0 ms  ✗ no answer",
        "      · 00:00:00.002 no span",
        "      · 00:00:00.007 ERROR failed  OSError: gone",
        "  · 00:00:00.018 last",
    ]


def test_two_sides_that_share_an_id_stand_under_each_other_whatever_their_clocks_say() -> None:
    lines = shown(
        [
            json_span("1", kind="SERVER", shared=True, timestamp=at(-500), localEndpoint={"serviceName": "pay"}),
            json_span("1", kind="CLIENT"),
            json_span("1", kind="CLIENT"),
        ],
        [json_line("ours", 1, "1"), json_line("theirs", -499, "1", service={"name": "pay"})],
    )
    assert names(lines) == ["cart op 1", "  pay op 1", "    · 23:59:59.501 theirs", "  · 00:00:00.001 ours"]
    assert "2 spans" in lines[0]


def test_rings_and_missing_callers_end_and_are_said() -> None:
    lines = shown([json_span("1", "2"), json_span("2", "1"), json_span("3", "3"), json_span("4", "9"), json_span("5")])
    assert sorted(names(lines)) == [f"cart op {number}" for number in "12345"]
    assert sum("its caller is not here" in line for line in lines) == 4


def test_a_trace_deeper_than_python_recurses_is_shown() -> None:
    spans = [json_span(f"{number:x}", f"{number - 1:x}" if number > 1 else None) for number in range(1, 3001)]
    lines = shown(spans)
    assert len(lines) == 3001
    assert lines[-1].strip().startswith("(2999 deep) cart op bb8")


def test_a_span_that_has_no_time_and_lines_without_spans_are_shown() -> None:
    lines = shown([json_span("1", timestamp=None, duration=None)], [json_line("x") | {"@timestamp": "never"}])
    assert names(lines) == ["cart op 1", "  · --:--:--.--- x"]
    only = shown([], [json_line("x")])
    assert "0 spans and 1 log line" in only[0]
    assert names(only)[1:] == ["  · 00:00:00.001 x"]


@pytest.mark.parametrize("terminal", [False, True])
def test_texts_from_outside_give_a_terminal_no_orders(terminal: bool) -> None:  # noqa: FBT001 - a parameter
    evil = "[red]x[/red] [/] \x1b[2J\x1b]0;owned\x07 \x9b31m \u202eback\r\nnext\tend" + "y" * 2000
    lines = shown(
        [json_span("1", name=evil, kind=evil, localEndpoint={"serviceName": evil}, tags={"error": evil})],
        [json_line(evil, 1, "1", log={"level": evil}, error={"type": evil, "message": evil})],
        colours=terminal,
    )
    text = "\n".join(lines)
    assert len(lines) == 3
    assert "[red]x[/red] [/] [2J ]0;owned 31m back next end" in text
    assert not {"\x9b", "\x07", "\u202e", "\r", "\t"} & set(text)
    if terminal:
        assert "\x1b[2J" not in text
        assert "\x1b]" not in text
        assert "\x1b[1;31m" in text  # what failed is bold and red
    else:
        assert "\x1b" not in text


class _Stored:
    """A trace in the Elasticsearch of the tests."""

    def __init__(self, stack: Endpoints, index_prefix: str) -> None:
        self._stack = stack
        self.flags = ["--elasticsearch-url", stack.elasticsearch, "--index-prefix", index_prefix]
        self._sink = ElasticsearchSink(
            ElasticsearchSettings.load(elasticsearch_url=stack.elasticsearch, index_prefix=index_prefix), metrics()
        )
        self._prefix = index_prefix

    def write(self, spans: Sequence[Span], logs: Sequence[LogRecord], name: str = "s0-1") -> None:
        report = self._sink.write(batch(part(spans, logs, name=name)))
        assert report.parts == [Outcome.WRITTEN]
        search(self._stack.elasticsearch, f"{self._prefix}*", {"query": {"match_all": {}}})

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["trace", *arguments, *self.flags])


@pytest.fixture
def stored(stack: Endpoints, index_prefix: str) -> _Stored:
    return _Stored(stack, index_prefix)


def whole(trace_id: bytes) -> tuple[list[Span], list[LogRecord]]:
    spans = [
        span(trace_id, "00000000000000a1", flags=ROOT),
        span(
            trace_id, "00000000000000b2", parentId="00000000000000a1", kind=None, flags=ERRORED, tags={"error": "gone"}
        ),
    ]
    return spans, [log(trace_id, spanId="00000000000000b2", level="ERROR", message="could not save", flags=ERRORED)]


def test_all_parts_of_a_trace_are_shown_by_a_short_and_by_a_long_id(stored: _Stored) -> None:
    short = bytes(8) + new_trace_id()[:8]
    spans, logs = whole(short)
    stored.write(spans[:1], [])
    stored.write(spans[1:], logs, name="s0-2")
    stored.write(spans[1:], logs, name="s0-3")  # as a replay under other names would
    for given in (short[8:].hex(), short.hex(), short.hex().upper()):
        result = stored.run(given)
        assert result.exit_code == 0, result.output
        lines = result.output.splitlines()
        assert lines[0].startswith(f"trace {short[8:].hex()} errored: 2 spans and 1 log line of 1 service")
        assert lines[1].startswith("cart get /cart  server")
        assert lines[2].startswith("  cart get /cart ")
        assert lines[2].endswith("✗ gone")
        assert lines[3].strip().endswith("ERROR could not save")


def test_json_is_one_object_of_spans_as_zipkin_has_them_and_of_lines(stored: _Stored) -> None:
    trace_id = new_trace_id()
    spans, logs = whole(trace_id)
    logs[0]["message"] = "naïve \u202e \x9b"
    stored.write(spans, logs)
    result = stored.run(trace_id.hex(), "--json")
    assert result.output.isascii()
    found = json.loads(result.output)
    assert (found["traceId"], found["errored"], found["complete"]) == (trace_id.hex(), True, True)
    assert {one["id"]: one["traceId"] for one in found["spans"]} == {
        "00000000000000a1": trace_id.hex(),
        "00000000000000b2": trace_id.hex(),
    }
    assert [(one["_id"], one["message"]) for one in found["logs"]] == [(logs[0]["id"], "naïve \u202e \x9b")]


def test_more_lines_than_one_search_returns_are_fetched_up_to_the_limit(stored: _Stored) -> None:
    trace_id = new_trace_id()
    stored.write([span(trace_id)], [log(trace_id, id=f"line-{n}", timestamp=at(n)) for n in range(10_050)])
    found = json.loads(stored.run(trace_id.hex(), "--json").output)
    assert [one["_id"] for one in found["logs"]] == [f"line-{n}" for n in range(10_050)]
    cut = stored.run(trace_id.hex(), "--limit", "3").output.splitlines()
    assert len(cut) == 1 + 1 + 3 + 1
    assert cut[-1] == "Truncated: only 3 spans and log lines are shown (--limit)."


def test_a_trace_that_is_not_there_is_said_with_what_may_be_the_reason(stored: _Stored) -> None:
    result = stored.run(new_trace_id().hex())
    assert result.exit_code == 1
    for word in ("no records of trace", "TRACELINK_KEEP_SHARE", "TRACELINK_INDEX_PREFIX", stored.flags[1]):
        assert word in result.output
    for wrong in ("xyz", "0" * 32, "a" * 33):
        result = stored.run(wrong)
        assert result.exit_code == 1
        assert result.output.startswith(f"Error: '{wrong}' is not a trace id")
    result = CliRunner().invoke(main, ["trace", "a1", "--elasticsearch-url", NOWHERE])
    assert result.exit_code == 1
    assert "Is it running?" in result.output


def test_a_dropped_trace_is_sent_to_zipkin_whole(stored: _Stored, stack: Endpoints) -> None:
    trace_id = new_trace_id()
    stored.write(*whole(trace_id))
    result = CliRunner(env={"TRACELINK_KEEP_SHARE": "0"}).invoke(
        main, ["trace", trace_id.hex(), "--to-zipkin", "--zipkin-url", stack.zipkin, *stored.flags]
    )
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == f"Sent 2 spans to Zipkin: {stack.zipkin}/zipkin/traces/{trace_id.hex()}"

    def ids() -> list[str]:
        answer = http_request("GET", f"{stack.zipkin}/api/v2/trace/{trace_id.hex()}")
        return sorted(one["id"] for one in answer.json()) if answer.status == 200 else []

    eventually(lambda: ids() == ["00000000000000a1", "00000000000000b2"])


def test_what_zipkin_does_not_take_is_an_error(stored: _Stored) -> None:
    trace_id = new_trace_id()
    stored.write(*whole(trace_id))

    def answer(request: Request) -> tuple[int, object]:
        return (400, "too odd") if any(one["id"].endswith("b2") for one in orjson.loads(request.body)) else (202, "")

    with stub(answer) as url:
        result = stored.run(trace_id.hex(), "--to-zipkin", "--zipkin-url", url)
    assert result.exit_code == 1
    assert "Zipkin accepted 1 of 2 spans" in result.output
    result = stored.run(trace_id.hex(), "--to-zipkin", "--zipkin-url", NOWHERE)
    assert result.exit_code == 1
    assert "does not answer" in result.output
    only_lines = new_trace_id()
    stored.write([], [log(only_lines)])
    result = stored.run(only_lines.hex(), "--to-zipkin", "--zipkin-url", NOWHERE)
    assert result.exit_code == 1
    assert "no spans to send" in result.output


def test_a_terminal_shows_colours(stored: _Stored) -> None:
    trace_id = new_trace_id()
    stored.write(*whole(trace_id))
    with in_terminal("trace", trace_id.hex(), *stored.flags) as terminal:
        assert terminal.wait() == 0
        assert "\x1b[1;31m" in terminal.text()
