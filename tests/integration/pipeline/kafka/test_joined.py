"""The parts of a stretch of time, against a real Kafka: all of them, and no more is read than needed."""

from collections.abc import Iterator, Sequence

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import NewPartitions, NewTopic
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kafka.admin import connect
from pipeline.kafka.joined import JoinedParts
from pipeline.kafka.offsets import OffsetLookup
from pipeline.local.stack import Endpoints
from pipeline.model import splice
from streams.join.journal import Ledger
from streams.join.partition import JoinPartition, Target
from streams.join.settings import JoinSettings
from streams.join.window import LOGS, SPANS, WindowLimits
from tests.kit.messages import FakeMessage
from tests.kit.records import key, log_message, span_message, trace_id
from tests.kit.waiting import wait_for
from tracelink.kafka.topics import TopicNames

START = 1_767_225_600_000
MINUTE = 60_000
LATER = 5 * MINUTE
"""After the end by more than twice the longest window."""


class Traces:
    """The topic of traces under a prefix, and reading it."""

    def __init__(self, brokers: str, prefix: str, partitions: int = 2) -> None:
        self._settings = JoinSettings.load(kafka_bootstrap_servers=brokers, topic_prefix=prefix)
        self.admin = connect(self._settings)
        self.names = TopicNames(prefix)
        for made in self.admin.create_topics(
            [
                NewTopic(topic, partitions, 1, config={"retention.ms": "-1"})
                for topic in (self.names.spans, self.names.logs, self.names.traces)
            ]
        ).values():
            made.result(30)
        self._producer = Producer({"bootstrap.servers": brokers})

    def put(self, *values: bytes | None, partition: int = 0, at: int | None = None) -> None:
        """Add messages; parts at the times at which they closed."""
        for value in values:
            stamp = splice.head(value or b"").closed if at is None else at
            self._producer.produce(self.names.traces, value, partition=partition, timestamp=stamp)
        assert self._producer.flush(20) == 0

    def put_input(self, topic: str, at: int) -> None:
        """Add a record to an input."""
        self._producer.produce(topic, b"record", partition=0, timestamp=START + at)
        assert self._producer.flush(20) == 0

    def joined(self, begin: int = 0, end: int = MINUTE) -> JoinedParts:
        return JoinedParts(self._settings, OffsetLookup(self.admin), START + begin, START + end)

    def names_read(self, begin: int = 0, end: int = MINUTE) -> list[str]:
        return names(self.joined(begin, end))


def names(joined: JoinedParts) -> list[str]:
    return sorted(one.head.name if one.head else "?" for found in joined.read() for one in found)


def part(name: str, opened: int, closed: int | None = None, *, size: int = 0) -> bytes:
    """Return a part of about so many bytes."""
    return splice.splice(
        flags=0,
        trace_id=trace_id(1),
        name=name,
        opened=START + opened,
        closed=START + (opened + 5000 if closed is None else closed),
        reason=0,
        spans=[span_message(1, name="x" * size)],
        logs=[],
    )


@pytest.fixture
def traces(stack: Endpoints, topic_prefix: str) -> Traces:
    return Traces(stack.kafka, topic_prefix)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the join hold no more than 100 kB."""
    monkeypatch.setattr("pipeline.kafka.joined._MORE_THAN_HELD", 100_000)


def test_parts_that_touch_the_stretch_are_read_from_all_partitions(traces: Traces) -> None:
    traces.put(
        part("s0-before", -9000, -1),
        part("s0-into", -9000, 0),
        part("s0-over", -9000, 2 * MINUTE),
        part("s0-in", 10, 20),
        part("s0-last", MINUTE - 1),
        part("s0-after", MINUTE),
    )
    traces.put(part("s1-in", 30, 40), partition=1)
    assert traces.names_read() == ["s0-in", "s0-into", "s0-last", "s0-over", "s1-in"]


def test_what_does_not_decode_is_handed_on_and_end_marks_are_not(traces: Traces) -> None:
    traces.put(b"no part", None, at=START)
    traces._producer.produce(traces.names.traces, None, headers=[("tracelink.end", b"1")], partition=0)  # noqa: SLF001
    traces.put(part("s0-1", 0))
    assert traces.names_read() == ["?", "?", "s0-1"]


def test_a_worker_whose_clock_is_behind_hides_nothing(traces: Traces) -> None:
    traces.put(part("s0-1", 0), at=START - 30_000)
    assert traces.names_read() == ["s0-1"]


@pytest.mark.usefixtures("held")
def test_the_rest_is_left_unread_once_all_must_have_come(traces: Traces) -> None:
    late = [part(f"s0-{number}", LATER, size=100) for number in range(10_000)]  # several polls
    traces.put(part("s0-early", 0), *late, part("s0-never", 0))
    joined = traces.joined()
    assert names(joined) == ["s0-early"]
    assert joined.done < joined.total == 10_002


@pytest.mark.usefixtures("held")
def test_what_the_join_may_hold_is_read_over(traces: Traces) -> None:
    late = [part(f"s0-{number}", LATER, size=9000) for number in range(10)]
    traces.put(*late, part("s0-held", 0))
    assert traces.names_read() == ["s0-held"]


@pytest.mark.usefixtures("held")
def test_parts_of_just_after_the_end_say_nothing_of_the_rest(traces: Traces) -> None:
    late = [part(f"s0-{number}", MINUTE + 130_000, size=10_000) for number in range(100)]
    traces.put(*late, part("s0-in", 0))
    assert traces.names_read() == ["s0-in"]


@pytest.mark.usefixtures("held")
def test_a_partition_with_parts_of_several_inputs_is_read_to_its_end(traces: Traces) -> None:
    late = [part(f"s0-{number}", LATER, size=10_000) for number in range(100)]
    traces.put(part("l1-7", LATER), *late, part("s1-behind", 0))
    assert traces.names_read() == ["s1-behind"]


@pytest.mark.usefixtures("held")
def test_where_there_are_more_inputs_than_partitions_all_is_read(traces: Traces) -> None:
    spans = traces.names.spans
    traces.admin.create_partitions([NewPartitions(spans, 4)])[spans].result(20)
    wait_for("its partitions", lambda: len(traces.admin.list_topics(spans, timeout=10).topics[spans].partitions) == 4)
    late = [part(f"s0-{number}", LATER, size=10_000) for number in range(100)]
    traces.put(*late, part("s2-behind", 0))
    assert traces.names_read() == ["s2-behind"]


def test_where_retention_has_passed_the_begin_it_is_told_from_when_on_there_are_parts(traces: Traces) -> None:
    traces.put(*[part(f"s0-{number}", number * 10_000) for number in range(4)])
    traces.put(part("s1-0", 0), partition=1)
    joined = traces.joined()
    names(joined)
    assert joined.available_since is None
    traces.admin.delete_records([TopicPartition(traces.names.traces, 0, 2)])[
        TopicPartition(traces.names.traces, 0)
    ].result(20)
    joined = traces.joined()
    assert names(joined) == ["s0-2", "s0-3", "s1-0"]
    assert joined.available_since == START + 25_000
    joined = traces.joined(begin=26_000)
    assert names(joined) == ["s0-3"]
    assert joined.available_since is None


def test_where_all_parts_have_gone_the_inputs_say_whether_there_were_any(traces: Traces) -> None:
    traces.put(part("s0-0", 0))
    where = TopicPartition(traces.names.traces, 0, 1)
    traces.admin.delete_records([where])[where].result(20)
    assert traces.joined().available_since is None
    traces.put_input(traces.names.logs, at=-1)
    assert traces.joined().available_since is None
    traces.put_input(traces.names.logs, at=MINUTE - 1)
    assert traces.joined().available_since == START + MINUTE


# The early end rests on the order in which the join puts parts out.

LIMITS = WindowLimits(
    idle_gap=50, max_age=400, root_grace=None, max_records=5, max_bytes=1 << 20, max_record_bytes=1 << 20
)
BATCH = 20
HELD = 3000
"""Bytes that an input may run ahead, before it is paused."""

Record = tuple[int, int, int]
"""Input, stream time, trace."""


def put_out(records: Sequence[Record], fetches: Iterator[int]) -> tuple[list[splice.Head], list[int], int]:
    """Join records as the worker does, in fetches of one input each; return parts, their bytes, and the most taken."""
    inputs: list[list[FakeMessage]] = [[], []]
    for kind, time, trace in sorted(records, key=lambda one: one[1]):
        body = log_message(trace) if kind == LOGS else span_message(trace)
        inputs[kind].append(FakeMessage(len(inputs[kind]), START + time, key(trace), body))
    partition = JoinPartition(
        0, topics=("spans", "logs"), limits=LIMITS, ledger=Ledger(0), positions=(0, 0), allowance=0
    )
    at = [0, 0]
    now, most = 0.0, 0
    parts: list[bytes] = []
    while any(at[kind] < len(inputs[kind]) for kind in (SPANS, LOGS)):
        kind = next(fetches)
        if at[kind] == len(inputs[kind]):
            partition.reach_end(kind, at[kind])
            kind = 1 - kind
        if partition.queued(kind) <= HELD:
            found = inputs[kind][at[kind] : at[kind] + BATCH]
            at[kind] += len(found)
            partition.receive(kind, found, now, 1 << 50)
        most = max(most, partition.queued(SPANS) + partition.queued(LOGS))
        partition.advance(now)
        parts += [one.value or b"" for one in partition.pending.messages if one.target is Target.TRACES]
        partition.pending.messages.clear()
    return [splice.head(one) for one in parts], list(map(len, parts)), most


@settings(max_examples=3 * settings().max_examples // 2)
@given(
    st.lists(st.tuples(st.sampled_from([SPANS, LOGS]), st.integers(0, 5000), st.integers(1, 12)), max_size=300),
    st.randoms(use_true_random=False),
    st.integers(0, 5000),
)
def test_what_comes_after_parts_of_much_later_is_no_more_than_the_join_took_in_at_once(
    records: list[Record], chance: object, end: int
) -> None:
    def fetches() -> Iterator[int]:
        while True:
            yield chance.randrange(2)  # type: ignore[attr-defined]  # Hypothesis gives a random.Random

    parts, sizes, most = put_out(records, fetches())
    enough = START + end + LIMITS.max_age + LIMITS.idle_gap
    beyond = 0
    for part_, size in zip(parts, sizes, strict=True):
        if part_.opened > enough:
            beyond += size
        elif part_.opened < START + end:
            # Heads and openings come on top of the records that were taken in.
            assert beyond <= 2 * most
