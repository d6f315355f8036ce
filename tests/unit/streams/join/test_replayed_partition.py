"""The join of a replayed partition: the live parts again, whoever reads when, and an end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.dead_letters import REDRIVEN
from pipeline.model.replay_markers import ORIGIN, end_headers
from pipeline.model.splice import decode, head
from streams.join.journal import Entry, Ledger
from streams.join.offset_map import OffsetMap
from streams.join.partition import JoinPartition, Output, Target, TargetMessage
from streams.join.replayed import ReplayedPartition
from streams.join.window import LOGS, SPANS, WindowLimits
from tests.kit.messages import CREATE_TIME, FakeMessage
from tests.kit.records import key, log_message, span_message

LIMITS = WindowLimits(
    idle_gap=300, max_age=700, root_grace=None, max_records=4, max_bytes=10_000, max_record_bytes=5000
)
LATE_FOR = 600_000
ALLOWANCE = 1000
NEVER = 0
"""A time of day before all records: no clock is asked of a replay."""


@dataclass
class Copied(FakeMessage):
    """A message of a job's topic."""

    sent_headers: list[tuple[str, bytes]] = field(default_factory=list)

    def headers(self) -> list[tuple[str, bytes]] | None:
        return self.sent_headers or None


def copied(offset: int, live: int, stamp: int, trace: int, body: bytes) -> Copied:
    return Copied(offset, stamp, key(trace), body, CREATE_TIME, [(ORIGIN, str(live).encode())])


def a_span(offset: int, stamp: int, trace: int = 1, *, live: int | None = None) -> Copied:
    return copied(offset, offset if live is None else live, stamp, trace, span_message(trace))


def a_log(offset: int, stamp: int, trace: int = 1, *, live: int | None = None) -> Copied:
    return copied(offset, offset if live is None else live, stamp, trace, log_message(trace))


def an_end(offset: int, *complete_until: int) -> Copied:
    return Copied(offset, 1, None, None, CREATE_TIME, end_headers(*complete_until))


def replayed(
    ledger: Ledger | None = None, positions: tuple[int, int] = (0, 0), times: tuple[int, int] = (0, 0)
) -> ReplayedPartition:
    return ReplayedPartition(
        3,
        topics=("spans", "logs"),
        limits=LIMITS,
        ledger=ledger or Ledger(LATE_FOR),
        positions=positions,
        times=times,
        allowance=ALLOWANCE,
    )


def receive(one: JoinPartition, kind: int, *messages: FakeMessage) -> None:
    one.receive(kind, messages, now=0, wall=NEVER)
    one.advance(now=0)


def commit(one: JoinPartition, at: int = 0) -> tuple[Entry, Output]:
    (entry,) = one.entries()
    return entry, one.committed([at], [entry])


def is_marker(message: TargetMessage) -> bool:
    return (message.key, message.value, message.headers) == (None, None, end_headers())


def names(messages: Sequence[TargetMessage]) -> list[str]:
    return [
        decode(one.value).trace["name"] for one in messages if one.target is Target.TRACES and one.value is not None
    ]


def test_parts_are_named_as_the_live_ones_across_what_was_not_copied() -> None:
    one = replayed()
    receive(one, SPANS, a_span(0, 1000, 1, live=40), a_span(1, 1001, 2, live=41), a_span(3, 1002, 3, live=977))
    receive(one, LOGS, a_log(0, 900, 4, live=7), a_log(1, 1003, 2, live=8), an_end(2))
    receive(one, SPANS, an_end(4))
    assert sorted(names(one.pending.messages)) == ["l3-7", "s3-40", "s3-41", "s3-977"]


def test_the_offsets_within_stay_those_of_the_job() -> None:
    one = replayed()
    receive(one, SPANS, a_span(5, 1000, live=4711), an_end(6))
    receive(one, LOGS, an_end(0))
    assert [part[1:3] for part in one.pending.sent] == [(5, -1)]
    assert one.low() == (6, 0)


def test_an_end_of_what_was_copied_so_far_closes_nothing_however_long_it_lasts() -> None:
    one = replayed()
    receive(one, SPANS, a_span(0, 1000))
    assert not one.waits(SPANS)  # there may be more to fetch of the other
    for now in range(0, 100_000, 200):
        for kind in (SPANS, LOGS):
            one.reach_end(kind, 1)
        one.advance(now=now)
    assert (one.window.records, one.pending.messages) == (0, [])
    assert (one.waits(SPANS), one.waits(LOGS)) == (True, False)
    receive(one, LOGS, an_end(0))
    assert one.window.records == 1
    assert not one.waits(SPANS)


def test_an_input_that_has_ended_holds_nothing_back() -> None:
    one = replayed()
    receive(one, LOGS, an_end(0))
    receive(one, SPANS, a_span(0, 1000, 1), a_span(1, 5000, 2))
    assert names(one.pending.messages) == ["s3-0"]
    assert not one.drained


def test_behind_the_last_part_lies_one_end_marker_on_the_same_partition() -> None:
    one = replayed()
    receive(one, SPANS, a_span(0, 1000), a_span(1, 1200), an_end(2))
    assert one.pending.messages == []
    receive(one, LOGS, an_end(0))
    receive(one, LOGS, an_end(0))
    part, marker = one.pending.messages
    assert (part.target, part.partition) == (marker.target, marker.partition) == (Target.TRACES, 3)
    assert is_marker(marker)
    assert not one.drained  # not before it is committed
    commit(one)
    one.advance(now=0)
    assert one.pending.messages == []
    assert one.drained
    assert 1200 + LIMITS.max_age < one.watermark < 10_000


def test_a_partition_without_records_ends_as_well() -> None:
    one = replayed()
    receive(one, SPANS, an_end(0))
    receive(one, LOGS, an_end(0))
    (marker,) = one.pending.messages
    assert is_marker(marker)
    assert one.watermark == 0


def test_a_trace_that_may_have_gone_on_after_the_copy_is_left_to_the_live_join() -> None:
    one = replayed()
    receive(one, SPANS, a_span(0, 1000, 1, live=40), a_span(1, 1200, 2, live=41), an_end(2, 1400))
    receive(one, LOGS, a_log(0, 1250, 2), an_end(1, 9000))
    assert names(one.pending.messages) == ["s3-40"]
    assert is_marker(one.pending.messages[-1])
    assert (one.left, one.window.records, len(one.window)) == (2, 0, 0)
    assert one.low() == (2, 1)
    commit(one)
    assert one.drained


def test_a_part_that_a_later_record_or_its_size_has_closed_is_whole_at_any_time() -> None:
    one = replayed()
    receive(one, SPANS, a_span(0, 1000, live=40), a_span(1, 1301, live=41), an_end(2, 1100))
    receive(one, LOGS, *[a_log(offset, 1000 + offset, 2) for offset in range(4)], an_end(4, 1100))
    assert names(one.pending.messages) == ["l3-0", "s3-40"]
    assert one.left == 1


def test_positions_end_at_the_end_markers_so_that_another_worker_finds_them() -> None:
    first = replayed()
    receive(first, SPANS, a_span(0, 1000), an_end(2))
    assert first.low() == (0, 0)
    receive(first, LOGS, a_log(0, 1000), an_end(1))
    entry, _ = commit(first)
    assert first.drained
    assert first.low() == (first.next_offset(SPANS), first.next_offset(LOGS)) == (2, 1)
    ledger = Ledger(LATE_FOR, first.low())
    ledger.learn(0, Entry.decode(entry.encode()))
    second = replayed(ledger, first.low(), first.times())
    receive(second, SPANS, an_end(2))
    receive(second, LOGS, an_end(1))
    assert second.pending.messages == []  # the marker has gone out with the parts
    assert second.drained


def test_a_worker_that_dies_before_its_last_commit_leaves_the_end_marker_to_another() -> None:
    first = replayed()
    receive(first, SPANS, a_span(0, 1000), a_span(1, 9000, 2), an_end(2))
    receive(first, LOGS, a_log(0, 9000, 2))
    entry, _ = commit(first)
    low, times = first.low(), first.times()
    receive(first, LOGS, an_end(1))
    ledger = Ledger(LATE_FOR, low)
    ledger.learn(0, Entry.decode(entry.encode()))
    second = replayed(ledger, low, times)
    receive(second, SPANS, a_span(1, 9000, 2), an_end(2))
    receive(second, LOGS, a_log(0, 9000, 2), an_end(1))
    assert names(second.pending.messages) == ["s3-1"]
    assert is_marker(second.pending.messages[-1])


def test_nothing_behind_an_end_marker_is_taken() -> None:
    one = replayed()
    receive(one, SPANS, a_span(0, 1000), an_end(1), an_end(2))
    receive(one, SPANS, a_span(3, 1001))
    receive(one, LOGS, an_end(0))
    assert one.pending.records == 1
    assert not one.pending.dead_letters


def test_a_dead_letter_names_the_live_record_and_keeps_how_often_it_was_redriven() -> None:
    one = replayed()
    bad = Copied(1, 1500, None, b"?", CREATE_TIME, [(ORIGIN, b"88"), (REDRIVEN, b"2")])
    receive(one, SPANS, a_span(0, 1000, live=80), bad, an_end(2))
    receive(one, LOGS, an_end(0))
    (letter,) = [message for message in one.pending.messages if message.target is Target.DEAD_LETTERS]
    headers = dict(letter.headers or [])
    assert (letter.value, letter.partition) == (b"?", -1)
    assert headers["tracelink.topic"] == b"spans"
    assert (headers["tracelink.partition"], headers["tracelink.offset"]) == (b"3", b"88")
    assert (headers["tracelink.timestamp"], headers["tracelink.redriven"]) == (b"1500", b"2")


def test_a_time_is_taken_as_it_was_copied_whatever_the_time_of_day() -> None:
    one = replayed()
    receive(one, SPANS, a_span(0, 5000), a_span(1, 9000, 2))
    receive(one, LOGS, a_log(0, 9000, 2))
    assert one.watermark == 9000


def test_the_way_back_to_live_offsets_is_forgotten_below_what_is_needed() -> None:
    origins = OffsetMap()
    for offset in range(5000):
        origins.note(offset, 2 * offset)
    origins.forget(4000)
    assert [origins.live(offset) for offset in (4000, 4001, 4999)] == [8000, 8002, 9998]
    assert len(origins._firsts) == 1000  # noqa: SLF001 - that it is bounded shows nowhere else


@dataclass(frozen=True)
class Lived:
    """A record of a live input."""

    kind: int
    offset: int
    stamp: int
    trace: int
    body: bytes


@st.composite
def lives(draw: st.DrawFn) -> tuple[list[Lived], list[Lived]]:
    """Make two inputs as a broker has stamped them."""

    def one(kind: int, make: Callable[..., bytes]) -> list[Lived]:
        stamp, offset, found = 2000, 0, []
        for step, gap, trace, errored in draw(
            st.lists(st.tuples(st.integers(0, 400), st.integers(1, 3), st.integers(1, 3), st.booleans()), max_size=20)
        ):
            stamp, offset = stamp + step, offset + gap
            found.append(Lived(kind, offset, stamp, trace, make(trace, errored=errored)))
        return found

    return one(SPANS, span_message), one(LOGS, log_message)


Parts = dict[tuple[Target, str], bytes]


def parts_of(messages: Sequence[TargetMessage], traces: set[int]) -> Parts:
    wanted = {key(trace) for trace in traces}
    found: Parts = {}
    for one in messages:
        if one.key in wanted and one.value is not None:
            identity = one.target, head(one.value).name
            assert identity not in found
            found[identity] = one.value
    return found


def run_live(inputs: tuple[list[Lived], list[Lived]], traces: set[int], chance: Random) -> Parts:
    """Read the inputs while they grow, now and then with the clock running on."""
    one = JoinPartition(
        3, topics=("spans", "logs"), limits=LIMITS, ledger=Ledger(LATE_FOR), positions=(0, 0), allowance=ALLOWANCE
    )
    at, ended, now = [0, 0], [False, False], 1900
    over = max((lived.stamp for records in inputs for lived in records), default=0) + 2 * ALLOWANCE + LIMITS.max_age
    while now < over or at != [*map(len, inputs)]:
        now += chance.randint(1, 250)
        for kind, records in enumerate(inputs):
            there = sum(lived.stamp <= now for lived in records) - at[kind]
            # Where a fetch has seen the end, the next brings what has come since.
            batch = records[at[kind] :][: chance.randint(min(there, ended[kind]), there)]
            at[kind] += len(batch)
            if batch:
                messages = [FakeMessage(lived.offset, lived.stamp, key(lived.trace), lived.body) for lived in batch]
                one.receive(kind, messages, now, now)
            ended[kind] = len(batch) == there
            if ended[kind]:
                one.reach_end(kind)
        one.advance(now)
    return parts_of(one.pending.messages, traces)


class Worker:
    """Joins copies of some traces' records, until it dies or another takes over; what it committed is there then."""

    def __init__(self, inputs: tuple[list[Lived], list[Lived]], traces: set[int], chance: Random) -> None:
        self.partition = replayed()
        self.gone_out: list[TargetMessage] = []
        self.topics = [_copy([lived for lived in records if lived.trace in traces], chance) for records in inputs]
        self._journal: list[Entry] = []
        self._positions = self._times = (0, 0)
        self._now = 0

    def read(self, kind: int, count: int, elapsed: int) -> None:
        one = self.partition
        batch = [message for message in self.topics[kind] if message.at >= one.next_offset(kind)][:count]
        if batch:
            one.receive(kind, batch, self._now, NEVER)
        else:
            one.reach_end(kind, one.next_offset(kind))
        self._now += elapsed
        one.advance(self._now)

    def commit(self) -> None:
        entries = self.partition.entries()
        self._positions, self._times = self.partition.low(), self.partition.times()
        self.gone_out += self.partition.committed(range(len(entries)), entries).messages
        self._journal += entries

    def die(self) -> None:
        ledger = Ledger(LATE_FOR, self._positions)
        for at, entry in enumerate(self._journal):
            ledger.learn(at, Entry.decode(entry.encode()))
        self.partition = replayed(ledger, self._positions, self._times)


def _copy(records: list[Lived], chance: Random) -> list[Copied]:
    offset, topic = -1, []
    for lived in records:
        offset += chance.randint(1, 2)  # the end of a transaction takes an offset
        topic.append(copied(offset, lived.offset, lived.stamp, lived.trace, lived.body))
    return [*topic, an_end(offset + chance.randint(1, 2))]


def run_replayed(inputs: tuple[list[Lived], list[Lived]], traces: set[int], chance: Random) -> Parts:
    """Read copies of the traces' records to their ends, with workers that come and go."""
    worker = Worker(inputs, traces, chance)
    while not worker.partition.drained:
        worker.read(chance.choice([SPANS, LOGS]), chance.randint(0, 5), chance.choice([0, 50, 100_000]))
        if chance.random() < 0.4:
            worker.commit()
        if chance.random() < 0.2 and not worker.partition.drained:
            worker.die()
    assert is_marker(worker.gone_out[-1])
    assert not any(map(is_marker, worker.gone_out[:-1]))
    assert list(worker.partition.low()) == [topic[-1].at for topic in worker.topics]
    return parts_of(worker.gone_out, traces)


@given(lives(), st.sets(st.integers(1, 3)), st.randoms(use_true_random=True))
def test_the_traces_of_a_replay_come_out_as_they_did_live(
    inputs: tuple[list[Lived], list[Lived]], traces: set[int], chance: Random
) -> None:
    assert run_replayed(inputs, traces, chance) == run_live(inputs, traces, chance)
