"""The checks themselves: each sees what it is there for. A run that nothing happened to is spoiled, piece by piece."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.model.splice import splice
from tests.faults.batch_join import Cuts, join
from tests.faults.checks import Check, Checker
from tests.faults.manifest import Fate, Manifest, Sent
from tests.faults.outcome import Document, Outcome, Stored
from tests.faults.traffic import Message, Record, Shape, messages
from tests.faults.wire import Json, head, read_part

CUTS = Cuts(idle_gap=500, max_age=3000, max_records=40)
PREFIX = "t."
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Run:
    """What was sent, and what there is; the spoiled one is checked."""

    manifest: Manifest
    outcome: Outcome

    def failing(self) -> set[str]:
        return {check.name for check in Checker(self.manifest, self.outcome, PREFIX, CUTS).all() if not check.ok}


def stored(topic: str, offset: int, message: Message) -> Stored:
    return Stored(PREFIX + topic, 0, offset, 1_000_000 + round(message.at * 1000), message.key, message.value)


def undisturbed() -> Run:
    """Make what an undisturbed run leaves behind, by the batch join and by hand."""
    sent = [Sent(message, Fate.ACKNOWLEDGED) for message in messages(5, Shape(rate=100, seconds=3))]
    topics: dict[str, list[Stored]] = {"spans": [], "logs": [], "unlinked-logs": []}
    behind: dict[Stored, Record] = {}
    for one in sent:
        topic = topics[one.message.topic]
        topic.append(stored(one.message.topic, len(topic), one.message))
        assert one.message.record
        behind[topic[-1]] = one.message.record
    parts = join(topics["spans"], topics["logs"], set(behind), CUTS)
    traces = [
        Stored(f"{PREFIX}traces", 0, at, 0, name[0].encode(), part(*name, records, behind))
        for at, (name, records) in enumerate(parts.items())
    ]
    errored = {record.trace for record in behind.values() if record.errored and record.topic != "unlinked-logs"}
    lines = {record.body["id"]: line(record) for record in behind.values() if record.topic != "spans"}
    return Run(
        Manifest(sent),
        Outcome(
            spans=topics["spans"],
            logs=topics["logs"],
            unlinked_logs=topics["unlinked-logs"],
            traces=traces,
            error_traces=[
                Stored(f"{PREFIX}error-traces", 0, at, 0, trace.encode(), b"") for at, trace in enumerate(errored)
            ],
            errors=[],
            problems=[],
            alerts=[],
            dead_letters=[],
            lines=list(lines.values()),
            parts=[document(*name, [behind[one] for one in records]) for name, records in parts.items()],
            zipkin=[
                Document("", shown(record))
                for record in {record.serial: record for record in behind.values()}.values()
                if record.topic == "spans"
            ],
        ),
    )


def part(trace: str, name: str, records: list[Stored], behind: dict[Stored, Record]) -> bytes:
    messages = {
        topic: [one.value or b"" for one in records if one.topic == PREFIX + topic] for topic in ("spans", "logs")
    }
    errored = any(behind[one].errored for one in records)
    return splice(flags=2 * errored, trace_id=bytes.fromhex(trace), name=name, opened=0, closed=0, reason=0, **messages)


def shown(record: Record) -> Json:
    body = record.body
    return {
        **{name: value for name, value in body.items() if value and name not in {"flags", "traceId"}},
        "traceId": record.trace,
        "localEndpoint": {name: value for name, value in body["localEndpoint"].items() if value},
    }


def line(record: Record) -> Document:
    body = record.body
    source: Json = {
        "@timestamp": f"{_EPOCH + timedelta(microseconds=body['timestamp']):%Y-%m-%dT%H:%M:%S.%fZ}",
        "message": body["message"],
        "log": {"level": body["level"], "logger": body["logger"]},
        "service": {"name": body["service"]},
        "labels": body["fields"],
    }
    if record.topic == "logs":
        source["trace"] = {"id": record.trace}
    if record.errored:
        source["error"] = {"type": "OSError", "message": "gone", "stack_trace": "at line 1"}
    return Document(body["id"], source)


def document(trace: str, name: str, records: list[Record]) -> Document:
    errored = any(record.errored for record in records)
    spans = {record.serial: shown(record) for record in records if record.topic == "spans"}
    return Document(f"{trace}-{name}", {"trace": {"id": trace, "errored": errored}, "spans": list(spans.values())})


def test_an_undisturbed_run_passes() -> None:
    run = undisturbed()
    assert run.failing() == set()
    assert len(run.outcome.traces) > 20
    assert any(read_part(one.value or b"").flags for one in run.outcome.traces)


def last_of(topic: str) -> Callable[[Run], None]:
    def spoil(run: Run) -> None:
        getattr(run.outcome, topic).pop()

    return spoil


def twice(topic: str) -> Callable[[Run], None]:
    def spoil(run: Run) -> None:
        found = getattr(run.outcome, topic)
        found.append(found[-1])

    return spoil


def change_a_line(run: Run) -> None:
    first = run.outcome.lines[0]
    run.outcome.lines[0] = replace(first, source=first.source | {"message": "another"})


def change_a_span(run: Run) -> None:
    spans = next(one.source["spans"] for one in run.outcome.parts if one.source["spans"])
    spans[0] = spans[0] | {"duration": 7}


def repeat_a_span(run: Run) -> None:
    """Hold a span twice in a part, as a sink does that takes its sender's repeats for more spans."""
    spans = next(one.source["spans"] for one in run.outcome.parts if one.source["spans"])
    spans.append(spans[0])


def turn_a_flag(run: Run) -> None:
    for at, one in enumerate(run.outcome.parts):
        trace = one.source["trace"]
        if trace["errored"]:
            run.outcome.parts[at] = replace(one, source=one.source | {"trace": trace | {"errored": False}})
            return


def bury_something(run: Run) -> None:
    good = run.outcome.spans[0]
    run.outcome.dead_letters.append(replace(good, topic=f"{PREFIX}dead-letters"))


def rename_a_part(run: Run) -> None:
    """Cut at another place: the same records, in a part that begins elsewhere."""
    first = run.outcome.traces[0]
    name = read_part(first.value or b"").name.encode()
    run.outcome.traces[0] = replace(first, value=(first.value or b"").replace(name, b"s0-9999999"[: len(name)], 1))


def garble(run: Run) -> None:
    first = run.outcome.zipkin[0]
    run.outcome.zipkin[0] = replace(first, source=first.source | {"tags": first.source["tags"] | {"word": "\ufffd"}})


LINES = "each log line is in Elasticsearch once"
SPANS = "each span is in Elasticsearch once"
INPUTS = "the inputs hold what was acknowledged"
SUM = "the parts add up to the traces"
TOLD = "each errored trace is in error-traces once"
ZIPKIN = "each span is in Zipkin once"
FLAGS = "flags are right"
SAME = "the parts are those of an undisturbed run"


@pytest.mark.parametrize(
    ("spoil", "against"),
    [
        (last_of("lines"), {LINES}),
        (twice("lines"), {LINES}),
        (twice("parts"), {SPANS}),
        (repeat_a_span, {SPANS}),
        (last_of("error_traces"), {TOLD}),
        (twice("error_traces"), {TOLD}),
        (twice("traces"), {SUM}),
        (last_of("traces"), {SUM, SAME, FLAGS, SPANS}),  # it is that of an errored trace
        (last_of("zipkin"), {ZIPKIN}),
        (twice("zipkin"), {ZIPKIN}),
        (change_a_line, {"bodies are equal"}),
        (change_a_span, {"bodies are equal"}),
        (turn_a_flag, {FLAGS}),
        (bury_something, {"each invalid message is one dead letter"}),
        (rename_a_part, {SAME}),
        (garble, {ZIPKIN}),
        (last_of("unlinked_logs"), {INPUTS, LINES}),
    ],
)
def test_what_is_spoiled_is_seen(spoil: Callable[[Run], None], against: set[str]) -> None:
    run = undisturbed()
    spoil(run)
    assert run.failing() == against


def test_what_nobody_has_answered_for_may_be_there_or_not() -> None:
    run = undisturbed()
    run.manifest.sent[-1].fate = Fate.UNKNOWN
    assert run.failing() == set()


def test_what_was_refused_must_not_be_there() -> None:
    run = undisturbed()
    run.manifest.sent[-1].fate = Fate.REFUSED
    assert run.failing() == {INPUTS}


def test_a_check_is_one_line() -> None:
    assert str(Check("a promise", (), "3 records")) == "ok    a promise: 3 records"
    assert str(Check("a promise", tuple("abcdefg"))) == "FAIL  a promise: a; b; c; d; e (+2 more)"


def test_the_same_seed_sends_the_same() -> None:
    shape = Shape(rate=100, seconds=2, poison=True)
    assert messages(1, shape) == messages(1, shape)
    assert messages(1, shape) != messages(2, shape)
    assert len({one.value for one in messages(1, shape) if one.record}) > 100
    assert head("span") != head("log_record")
