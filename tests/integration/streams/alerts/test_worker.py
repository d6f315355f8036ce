"""The worker that groups errors as a process, against a real Kafka: each problem is told once, whatever befalls it."""

import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from pipeline.failpoints import Failpoint
from pipeline.local.stack import Endpoints
from pipeline.model.problems import ALERT, PROBLEM, Alert, Problem
from pipeline.model.splice import splice
from tests.kit.children import Child
from tests.kit.kafka import publish, read_all, read_until
from tests.kit.kafka_topics import create
from tests.kit.processes import metrics, running
from tests.kit.records import key, log_message, span_message, trace_id
from tests.kit.waiting import wait_for
from tracelink.model.records import Flag

_ENDED = 30.0


@pytest.fixture
def environment(stack: Endpoints, topic_prefix: str) -> dict[str, str]:
    create(stack.kafka, topic_prefix, join_group=f"{topic_prefix}join")
    return {
        "TRACELINK_KAFKA_BOOTSTRAP_SERVERS": stack.kafka,
        "TRACELINK_TOPIC_PREFIX": topic_prefix,
        "TRACELINK_ALERTS_GROUP": f"{topic_prefix}alerts",
        "TRACELINK_JOIN_GROUP": f"{topic_prefix}join",
        "TRACELINK_INSTANCE_ID": "a",
        "TRACELINK_SESSION_TIMEOUT": "2",
        "TRACELINK_TRANSACTION_TIMEOUT": "3",
    }


def errored(number: int, operation: str) -> tuple[bytes, bytes]:
    """Return an errored trace as the join hands it over."""
    now = time.time_ns() // 1_000_000
    fields = {"id": "00000000000000a1", "parentId": None, "name": operation, "errored": True}
    message = splice(
        flags=2 * Flag.ERROR,
        trace_id=trace_id(number),
        name=f"s0-{number}",
        opened=now,
        closed=now,
        reason=0,
        spans=[span_message(number, **fields)],
        logs=[log_message(number, errored=True, spanId="00000000000000a1", message=f"order {number} failed")],
    )
    return key(number), message


def alerts(stack: Endpoints, prefix: str) -> list[Alert]:
    return [ALERT.decode(message.value() or b"") for message in read_all(stack.kafka, f"{prefix}alerts")]


def problems(stack: Endpoints, prefix: str) -> dict[str, Problem]:
    """Return the newest state of each problem, by its operation."""
    found = [PROBLEM.decode(message.value() or b"") for message in read_all(stack.kafka, f"{prefix}problems")]
    newest: dict[str, Problem] = {}
    for problem in sorted(found, key=lambda one: one["version"]):
        newest[problem["operation"] or ""] = problem
    return newest


def told(found: Iterable[Alert]) -> Counter[tuple[str, str | None]]:
    return Counter((alert["event"], alert["problem"]["operation"]) for alert in found)


def test_traces_that_fail_alike_are_one_alert_and_what_cannot_be_read_is_a_dead_letter(
    stack: Endpoints, topic_prefix: str, environment: dict[str, str], tmp_path: Path
) -> None:
    topic = f"{topic_prefix}error-traces"
    with running("alerts", log=tmp_path / "alerts.log", **environment) as worker:
        url = worker.wait_until_ready()
        publish(stack.kafka, topic, [errored(number, "buy") for number in range(1, 6)])
        publish(stack.kafka, topic, [errored(9, "sell"), (key(8), b"?")])
        publish(stack.kafka, f"{topic_prefix}errors", [(b"f", b"no occurrence")])
        read_until(stack.kafka, f"{topic_prefix}alerts", 2)
        letters = read_until(stack.kafka, f"{topic_prefix}dead-letters", 2)
        assert {letter.value() for letter in letters} == {b"?", b"no occurrence"}
        assert all(dict(letter.headers() or [])["tracelink.sink"] == b"alerts" for letter in letters)
        wait_for("all to be counted", lambda: metrics(url)["tracelink_alerts_counted_occurrences_total"] == 6)
        assert worker.stop() == 0
    assert told(alerts(stack, topic_prefix)) == {("NEW", "buy"): 1, ("NEW", "sell"): 1}
    found = problems(stack, topic_prefix)
    assert {name: problem["count"] for name, problem in found.items()} == {"buy": 5, "sell": 1}
    assert found["buy"]["lines"][0]["message"].startswith("order")


def test_a_worker_that_is_killed_leaves_no_alert_out_and_none_twice(
    stack: Endpoints, topic_prefix: str, environment: dict[str, str], tmp_path: Path
) -> None:
    topic = f"{topic_prefix}error-traces"
    names = ["sell", "pay", "ship"]
    worker = Child("alerts", ("alerts",), environment, tmp_path)
    try:
        worker.start()
        worker.wait_until_ready()
        publish(stack.kafka, topic, [errored(1, "buy")])
        read_until(stack.kafka, f"{topic_prefix}alerts", 1)
        points = (Failpoint.WORKER_ADVANCED, Failpoint.BEFORE_COMMIT, Failpoint.WORKER_COMMITTED)
        for number, (point, name) in enumerate(zip(points, names, strict=True), 2):
            worker.order(point, "KILL")
            publish(stack.kafka, topic, [errored(number, "buy"), errored(10 + number, name)])
            assert worker.wait(_ENDED), f"it does not come to {point}"
            worker.start()
        read_until(stack.kafka, f"{topic_prefix}alerts", 4)
        wait_for("all to be counted", lambda: problems(stack, topic_prefix)["buy"]["count"] == 4)
    finally:
        worker.kill()
    assert told(alerts(stack, topic_prefix)) == {("NEW", name): 1 for name in ["buy", *names]}


def test_a_second_worker_takes_problems_over_as_they_are(
    stack: Endpoints, topic_prefix: str, environment: dict[str, str], tmp_path: Path
) -> None:
    topic = f"{topic_prefix}error-traces"
    names = ["buy", "sell", "pay", "ship", "pack", "look"]
    with running("alerts", log=tmp_path / "a.log", **environment) as first:
        first.wait_until_ready()
        publish(stack.kafka, topic, [errored(1 + number, name) for number, name in enumerate(names)])
        read_until(stack.kafka, f"{topic_prefix}alerts", len(names))
        with running("alerts", log=tmp_path / "b.log", **environment | {"TRACELINK_INSTANCE_ID": "b"}) as second:
            second.wait_until_ready()
            publish(stack.kafka, topic, [errored(20 + number, name) for number, name in enumerate(names)])
            wait_for(
                "the second ones to be counted",
                lambda: {problem["count"] for problem in problems(stack, topic_prefix).values()} == {2},
            )
            assert first.stop() == 0
            publish(stack.kafka, topic, [errored(40 + number, name) for number, name in enumerate([*names, "new"])])
            read_until(stack.kafka, f"{topic_prefix}alerts", len(names) + 1)
            wait_for(
                "the third ones to be counted",
                lambda: sorted(problem["count"] for problem in problems(stack, topic_prefix).values()) == [1, *[3] * 6],
            )
            assert second.stop() == 0
    assert told(alerts(stack, topic_prefix)) == {("NEW", name): 1 for name in [*names, "new"]}


def test_a_problem_that_stays_away_is_resolved_and_comes_back(
    stack: Endpoints, topic_prefix: str, environment: dict[str, str], tmp_path: Path
) -> None:
    topic = f"{topic_prefix}error-traces"
    with running("alerts", log=tmp_path / "alerts.log", **environment | {"TRACELINK_QUIET_AFTER": "1"}) as worker:
        worker.wait_until_ready()
        publish(stack.kafka, topic, [errored(1, "buy")])
        read_until(stack.kafka, f"{topic_prefix}alerts", 2)
        publish(stack.kafka, topic, [errored(2, "buy")])
        found = [ALERT.decode(one.value() or b"") for one in read_until(stack.kafka, f"{topic_prefix}alerts", 3)]
        assert [alert["event"] for alert in found[:3]] == ["NEW", "RESOLVED", "BACK"]
        assert worker.stop() == 0


def test_rules_that_are_changed_hold_without_a_restart_and_wrong_ones_refuse_the_start(
    stack: Endpoints, topic_prefix: str, environment: dict[str, str], tmp_path: Path
) -> None:
    topic, rules = f"{topic_prefix}error-traces", tmp_path / "rules.toml"
    environment |= {"TRACELINK_RULES_FILE": str(rules)}
    rules.write_text('[[rule]]\nname = "all"\nseverity = "loud"\n')
    with running("alerts", log=tmp_path / "wrong.log", **environment) as worker:
        assert worker.wait() == 1
        assert f"{rules}:3" in worker.output()
        assert "Traceback" not in worker.output()
    rules.write_text('[[rule]]\nname = "all"\nseverity = "warning"\n')
    with running("alerts", log=tmp_path / "alerts.log", **environment) as worker:
        url = worker.wait_until_ready()
        publish(stack.kafka, topic, [errored(1, "buy")])
        read_until(stack.kafka, f"{topic_prefix}alerts", 1)
        rules.write_text("broken")
        wait_for("the file to be found wrong", lambda: not metrics(url)["tracelink_alerts_rules_valid"])
        rules.write_text('[[rule]]\nname = "all"\nseverity = "critical"\n')
        wait_for("the file to be found right", lambda: metrics(url)["tracelink_alerts_rules_valid"])
        publish(stack.kafka, topic, [errored(2, "sell")])
        read_until(stack.kafka, f"{topic_prefix}alerts", 2)
        assert worker.stop() == 0
    found = {alert["problem"]["operation"]: alert["problem"]["severity"] for alert in alerts(stack, topic_prefix)}
    assert found == {"buy": "warning", "sell": "critical"}
