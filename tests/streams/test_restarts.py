"""The core of the join through crashes and moves, at any moment: nothing is lost, nothing doubled.

A broker of a few lines stands in for Kafka: inputs, a journal, committed offsets, and what has gone out.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.journal import Entry, Ledger
from streams.partition import Outgoing, Partition, Target
from streams.window import LOGS, SPANS, Limits
from tests.kit.messages import FakeMessage
from tests.kit.records import key, log_message, span_message
from tracelink.splice import decode

LIMITS = Limits(idle_gap=300, max_age=700, root_grace=None, max_records=3, max_bytes=10_000, max_record_bytes=10_000)
SECOND_LAST = 1_000_000


class Arrival(NamedTuple):
    """A record that comes so long after the one before; what it is decides on the draw."""

    step: int
    kind: int
    trace: int
    errored: bool
    poison: bool


arrivals = st.lists(
    st.builds(
        Arrival,
        step=st.sampled_from([0, 0, 0, 30, 60, 100, 200, 290, 301, 700]),
        kind=st.sampled_from([SPANS, LOGS]),
        trace=st.integers(1, 3),
        errored=st.sampled_from([False, False, False, True]),
        poison=st.sampled_from([False] * 7 + [True]),
    ),
    min_size=5,
    max_size=40,
)


@dataclass
class Broker:
    """The inputs whole, and what transactions have committed."""

    late_for: int
    inputs: tuple[list[FakeMessage], list[FakeMessage]] = field(default_factory=lambda: ([], []))
    journal: list[Entry] = field(default_factory=list)
    offsets: tuple[int, int] = (0, 0)
    journal_start: int = 0
    out: list[Outgoing] = field(default_factory=list)

    def append(self, kind: int, time: int, arrival: Arrival) -> None:
        make = span_message if kind == SPANS else log_message
        body = b"?" if arrival.poison else make(arrival.trace, errored=arrival.errored)
        self.inputs[kind].append(FakeMessage(len(self.inputs[kind]), time, key(arrival.trace), body))

    def worker(self) -> Partition:
        """Start a worker from what is committed."""
        ledger = Ledger(self.late_for, self.offsets)
        for at, entry in enumerate(self.journal[self.journal_start :], self.journal_start):
            ledger.learn(at, Entry.decode(entry.encode()))
        return Partition(
            0, topics=("spans", "logs"), limits=LIMITS, ledger=ledger, positions=self.offsets, allowance=1000
        )

    def read(self, one: Partition, kind: int, count: int) -> None:
        start = one.next_offset(kind)
        batch = self.inputs[kind][start : start + count]
        if batch:
            one.receive(kind, batch, now=0, wall=SECOND_LAST)
        one.advance(now=0)

    def commit(self, one: Partition) -> None:
        """Commit a transaction, as the join does."""
        at, low, entries = len(self.journal), one.low(), one.entries()
        self.journal_start = one.ledger.start(low, one.watermark, at)
        self.offsets = low
        self.out += one.committed(range(at, at + len(entries)), entries).messages
        self.journal += entries

    def drain(self) -> None:
        """Let a worker without faults finish what is there."""
        one = self.worker()
        for _ in range(2):
            for kind in (SPANS, LOGS):
                self.read(one, kind, SECOND_LAST)
        self.commit(one)

    def sent(self, target: Target) -> list[Outgoing]:
        return [message for message in self.out if message.target is target]


def with_inputs(records: list[Arrival], late_for: int) -> Broker:
    broker, time = Broker(late_for), 1000
    for arrival in records:
        time += arrival.step
        broker.append(arrival.kind, time, arrival)
    end = Arrival(0, SPANS, 9, errored=False, poison=False)
    for kind in (SPANS, LOGS):  # lets the windows of all others close
        broker.append(kind, SECOND_LAST - 1, end)
    return broker


@settings(max_examples=400, deadline=None)
@given(arrivals, st.data())
def test_every_record_goes_out_exactly_once_whatever_dies(records: list[Arrival], data: st.DataObject) -> None:
    broker = with_inputs(records, late_for=0)
    one = broker.worker()
    for action in data.draw(
        st.lists(st.sampled_from(["spans", "logs", "both", "both", "commit", "commit", "die"]), min_size=5, max_size=40)
    ):
        if action == "die":
            one = broker.worker()
        elif action == "commit":
            broker.commit(one)
        else:
            for kind in {"spans": (SPANS,), "logs": (LOGS,), "both": (SPANS, LOGS)}[action]:
                broker.read(one, kind, data.draw(st.sampled_from([1, 3, 8, 20])))
    broker.drain()

    traces = [decode(message.value or b"").trace for message in broker.sent(Target.TRACES)]
    ids = Counter(record["id"] for trace in traces for record in [*trace["spans"], *trace["logs"]])
    good = [arrival for arrival in records if not arrival.poison]
    assert set(ids.values()) <= {1}
    assert ids.total() == len(good)
    names = Counter((trace["traceId"], trace["name"]) for trace in traces)
    assert set(names.values()) <= {1}
    origins = Counter(str(message.headers) for message in broker.sent(Target.DEAD_LETTERS))
    assert set(origins.values()) <= {1}
    assert origins.total() == sum(arrival.poison for arrival in records)


@settings(max_examples=200, deadline=None)
@given(arrivals, st.data())
def test_the_parts_are_those_of_an_undisturbed_run_and_errors_are_told_once(
    records: list[Arrival], data: st.DataObject
) -> None:
    undisturbed = with_inputs(records, late_for=SECOND_LAST)
    undisturbed.drain()
    broker = with_inputs(records, late_for=SECOND_LAST)
    broker.inputs = undisturbed.inputs
    one = broker.worker()
    for action in data.draw(st.lists(st.sampled_from(["spans", "logs", "commit", "die"]), max_size=30)):
        if action == "die":
            one = broker.worker()
        elif action == "commit":
            broker.commit(one)
        else:
            broker.read(one, SPANS if action == "spans" else LOGS, data.draw(st.sampled_from([1, 3, 8, 20])))
    broker.drain()
    parts = {message.value for message in broker.sent(Target.TRACES)}
    assert parts == {message.value for message in undisturbed.sent(Target.TRACES)}
    told = Counter(message.key for message in broker.sent(Target.ERROR_TRACES))
    assert told == Counter({key(arrival.trace): 1 for arrival in records if arrival.errored and not arrival.poison})


def test_a_full_part_is_not_sent_again_while_an_older_one_is_open() -> None:
    records = [Arrival(0, SPANS, trace, errored=False, poison=False) for trace in (2, 1, 1, 1)]
    broker = with_inputs(records, late_for=0)
    one = broker.worker()
    broker.read(one, LOGS, 1)
    broker.read(one, SPANS, 4)
    broker.commit(one)
    assert broker.offsets == (0, 0)
    broker.drain()
    assert Counter(message.key for message in broker.sent(Target.TRACES)) == {key(1): 1, key(2): 1}
