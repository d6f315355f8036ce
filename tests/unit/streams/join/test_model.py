"""The join under whatever schedule of faults: nothing is lost, nothing doubled, and parts are what they were.

Hypothesis makes the schedules; the worker is the product's own, with the join as its handler, on a broker whose
transactions end late and whose group gives up on workers that do not know it yet.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from functools import cache, reduce
from operator import or_
from typing import Any, NamedTuple, cast

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from prometheus_client.metrics import MetricWrapperBase

from pipeline.model.splice import decode
from streams.join.journal import Ledger
from streams.join.ownership import Committed
from streams.join.partition import Target
from streams.join.window import LOGS, SPANS
from streams.worker.handler import Outgoing
from tests.kit.broker_model import OFFSETS, Appended, Broker
from tests.kit.join_model import INPUTS, NAMES, Step, Worker, make_partition
from tests.kit.records import key, log_message, span_message
from tracelink.model.records import LogRecord, Span, Trace

_FOREVER = 1 << 40
_END = 1 << 30
_END_TRACE = 99
_ROUNDS = 200
_AT_THE_START = Step(elapsed=0, spans=0, logs=0, commits=False, hears=True)
_UNDISTURBED = Step(elapsed=100, spans=1000, logs=1000, commits=True, hears=True)


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """Keep what workers say of their aborts out of the log: there are very many."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


class Arrival(NamedTuple):
    """A record that comes so long after the one before, stamped by a clock that has stepped back so far."""

    after: int
    back: int
    kind: int
    trace: int
    errored: bool
    invalid: bool
    repeats: bool


class Turn(NamedTuple):
    """A worker's steps, one like the other."""

    worker: int
    times: int
    step: Step


def _arrival(number: int) -> Arrival:
    """Read a record's nature from the bits of a number: a draw for each would take most of the time."""
    return Arrival(
        after=(0, 0, 0, 0, 30, 100, 301, 700)[number & 7],
        back=(0, 0, 0, 600)[number >> 3 & 3],
        kind=number >> 5 & 1,
        trace=(1, 1, 2, 3)[number >> 6 & 3],
        errored=number >> 8 & 7 == 7,
        invalid=number >> 11 & 7 == 7,
        repeats=number >> 14 & 3 == 3,
    )


def _turn(number: int) -> Turn:
    return Turn(
        worker=number & 7,
        times=(1, 2, 4, 8)[number >> 3 & 3],
        step=Step(
            elapsed=(0, 0, 50, 400)[number >> 5 & 3],
            spans=(0, 1, 3, 8)[number >> 7 & 3],
            logs=(0, 1, 3, 8)[number >> 9 & 3],
            commits=number >> 11 & 3 > 0,
            hears=number >> 13 & 3 > 0,
        ),
    )


def _pairs(drawn: bytes) -> list[int]:
    return [high << 8 | low for high, low in zip(drawn[::2], drawn[1::2], strict=False)]


arrivals = st.binary(min_size=8, max_size=32).map(lambda drawn: [_arrival(number) for number in _pairs(drawn)])
turns = st.binary(min_size=4, max_size=16).map(lambda drawn: [_turn(number) for number in _pairs(drawn)])
workers = st.integers(0, 5)


@cache
def _body(kind: int, trace: int, errored: bool, serial: int) -> bytes:  # noqa: FBT001 - a cache's key
    make = span_message if kind == SPANS else log_message
    return make(trace, errored=errored, id=f"{serial:016x}")


class JoinModel(RuleBasedStateMachine):
    """Some workers and partitions, and what happens to them; each rule lets the workers go on after it."""

    @initialize(
        workers=st.integers(2, 3),
        partitions=st.sampled_from([1, 1, 2]),
        late_for=st.sampled_from([_FOREVER, _FOREVER, 0]),
        records=arrivals,
    )
    def begin(self, workers: int, partitions: int, late_for: int, records: list[Arrival]) -> None:
        self.late_for = late_for
        self.broker = Broker(partitions)
        self.workers = [Worker(name, self.broker, late_for) for name in "abc"[:workers]]
        self.good: Counter[str] = Counter()
        self.invalid: set[tuple[bytes, bytes, bytes]] = set()
        self.errored: set[bytes] = set()
        self.last: dict[tuple[int, int], tuple[int, bool]] = {}
        self.serial = 0
        for worker in self.workers:
            worker.start()
        while self.broker.group.rebalancing or not self.broker.group.generation:
            for worker in self.workers:
                worker.do(_AT_THE_START)
        self.append(records)

    @rule(records=arrivals, then=turns)
    def records_come(self, records: list[Arrival], then: list[Turn]) -> None:
        self.append(records)
        self.go_on(then)

    @rule(offsets=st.booleans(), journal=st.booleans(), then=turns)
    def ends_of_transactions_show(self, offsets: bool, journal: bool, then: list[Turn]) -> None:  # noqa: FBT001 - drawn
        self.broker.show_ends(lambda place: offsets if place == OFFSETS else journal)
        self.go_on(then)

    @rule(number=workers, starts_again=st.booleans(), then=turns)
    def a_worker_is_killed(self, number: int, starts_again: bool, then: list[Turn]) -> None:  # noqa: FBT001 - drawn
        self.worker(number).kill()
        if starts_again:
            self.worker(number).start()
        self.go_on(then)

    @rule(number=workers, then=turns)
    def the_group_gives_up_on_a_worker(self, number: int, then: list[Turn]) -> None:
        self.broker.group.expel(self.worker(number).name)
        self.go_on(then)

    @rule(then=turns)
    def the_group_rebalances(self, then: list[Turn]) -> None:
        self.broker.group.rebalance()
        self.go_on(then)

    @rule(number=workers, too_long=st.booleans(), then=turns)
    def a_transaction_is_undone(self, number: int, too_long: bool, then: list[Turn]) -> None:  # noqa: FBT001 - drawn
        undo = self.broker.time_out if too_long else self.broker.fail_next
        undo(self.worker(number).name)
        self.go_on(then)

    @invariant()
    def the_books_balance_wherever_a_worker_stands(self) -> None:
        for worker in self.workers:
            counted = worker.metrics
            gone = (counted.joined, counted.dead_letters, counted.open_records, counted.released)
            assert _total(counted.records) == sum(map(_total, gone)), worker.name

    def teardown(self) -> None:
        if hasattr(self, "broker"):
            try:
                self.drain()
                self.check()
            finally:
                for worker in self.workers:
                    worker.kill()

    # What the rules do

    def worker(self, number: int) -> Worker:
        """Return a worker; every other number means the one that has the first partition."""
        if number % 2:
            return next(worker for worker in self.workers if worker.name == self.broker.group.owner(0))
        return self.workers[number // 2 % len(self.workers)]

    def go_on(self, then: list[Turn]) -> None:
        for turn in then:
            for _ in range(turn.times):
                self.worker(turn.worker).do(turn.step)

    def append(self, records: list[Arrival]) -> None:
        for record in records:
            self.broker.now += record.after
            self.append_one(record)

    def append_one(self, record: Arrival) -> None:
        number, body = record.trace % len(self.broker.inputs), b"?"
        came, where = self.broker.now, self.broker.inputs[number][record.kind]
        if record.invalid:
            topic = INPUTS[record.kind].encode()
            self.invalid.add((topic, str(number).encode(), str(len(where)).encode()))
        else:
            body = self.body(record)
        stamp = max(0, came - record.back)
        where.append(Appended(_message(record.kind, number, len(where), stamp, key(record.trace), body), came))

    def body(self, record: Arrival) -> bytes:
        """Make a good record, or take the last one of that trace again, and write down what is to come of it."""
        before = self.last.get((record.kind, record.trace))
        if before is not None and record.repeats:
            serial, errored = before
        else:
            self.serial += 1
            serial, errored = self.serial, record.errored
        self.last[record.kind, record.trace] = serial, errored
        self.good[f"{serial:016x}"] += 1
        if errored:
            self.errored.add(key(record.trace))
        return _body(record.kind, record.trace, errored, serial)

    # What must have come of it

    def drain(self) -> None:
        """Let all workers go on without faults until everything has gone out."""
        ends = self.append_ends()
        for worker in self.workers:
            if not worker.is_alive():
                worker.start()
        for _ in range(_ROUNDS):
            self.broker.show_ends(lambda _: True)
            if self.broker.is_at_rest() and all(self.has_passed(number, end) for number, end in ends.items()):
                return
            for worker in self.workers:
                worker.do(_UNDISTURBED)
        raise AssertionError(f"not done after {_ROUNDS} rounds")

    def has_passed(self, number: int, end: tuple[int, int]) -> bool:
        positions = self.broker.committed(number).positions
        return positions[SPANS] >= end[SPANS] and positions[LOGS] >= end[LOGS]

    def append_ends(self) -> dict[int, tuple[int, int]]:
        """Append to each input a record that is so late that it closes all windows; return their offsets."""
        ends = {}
        self.broker.now = _END
        for number, inputs in enumerate(self.broker.inputs):
            ends[number] = (len(inputs[SPANS]), len(inputs[LOGS]))
            for kind, where in enumerate(inputs):
                body = _body(kind, _END_TRACE, errored=False, serial=0)
                where.append(Appended(_message(kind, number, len(where), _END, key(_END_TRACE), body), _END))
        return ends

    def check(self) -> None:
        out = [message for message in self.broker.gone_out() if message.key != key(_END_TRACE)]
        parts = [decode(message.value or b"").trace for message in out if message.topic == NAMES.traces]
        assert Counter(record["id"] for part in parts for record in _records(part)) == self.good
        assert all(part["flags"] == reduce(or_, (record["flags"] for record in _records(part))) for part in parts)
        assert max(Counter((part["traceId"], part["name"]) for part in parts).values(), default=1) == 1
        letters = Counter(_origin(message) for message in out if message.topic == NAMES.dead_letters)
        assert letters == Counter(self.invalid)
        told = Counter(message.key for message in out if message.topic == NAMES.error_traces)
        # Where nothing is remembered, a trace that errs again may be told again.
        assert (told if self.late_for else Counter(told.keys())) == Counter(self.errored)
        assert Counter(_traces(out)) == Counter(self.undisturbed())

    def undisturbed(self) -> list[bytes | None]:
        """Return the parts that one worker makes of everything, read at once."""
        found: list[bytes | None] = []
        for number, inputs in enumerate(self.broker.inputs):
            partition = make_partition(number, Committed((0, 0)), Ledger(self.late_for))
            for kind, records in enumerate(inputs):
                partition.receive(kind, [cast("Any", record.message) for record in records], 0, _END)
            partition.advance(0)
            found += [one.value for one in partition.pending.messages if one.target is Target.TRACES]
        return found


def _total(metric: MetricWrapperBase) -> float:
    return sum(one.value for family in metric.collect() for one in family.samples if not one.name.endswith("_created"))


def _message(kind: int, number: int, offset: int, stamp: int, key: bytes, body: bytes) -> Message:  # noqa: PLR0917 - its parts
    timestamp = (TIMESTAMP_LOG_APPEND_TIME, stamp)
    return Message(topic=INPUTS[kind], partition=number, offset=offset, key=key, value=body, timestamp=timestamp)


def _records(part: Trace) -> list[Span | LogRecord]:
    return [*part["spans"], *part["logs"]]


def _traces(messages: list[Outgoing]) -> list[bytes | None]:
    return [message.value for message in messages if message.topic == NAMES.traces]


def _origin(letter: Outgoing) -> tuple[bytes, bytes, bytes]:
    found: dict[str, Any] = dict(letter.headers or [])
    return found["tracelink.topic"], found["tracelink.partition"], found["tracelink.offset"]


# In shares, for several processes to run at the same time.
@pytest.mark.parametrize("schedules", [5 * settings().max_examples] * 4)
def test_under_every_schedule_of_faults_nothing_is_lost_or_doubled(schedules: int) -> None:
    run_state_machine_as_test(JoinModel, settings=settings(max_examples=schedules, stateful_step_count=12))
