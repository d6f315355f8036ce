"""A process of the join on the broker of the tests: the real worker, which goes on only from stop to stop.

It runs in a thread of its own, and stops in each call of its Kafka clients at which a process may die or be held up.
No two threads ever run at the same time.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from threading import Event, Lock, Thread
from typing import Any, NamedTuple, Self, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from prometheus_client import CollectorRegistry

from pipeline.kafka import transactions
from pipeline.kafka.offsets import GroupOffset, OffsetLookup, OffsetRange, Retry
from pipeline.kafka.reader import Reader
from pipeline.kafka.transactions import JournalRecord, Transactions
from pipeline.model.dead_letters import Headers
from streams.join.handler import Join
from streams.join.journal import Ledger
from streams.join.metrics import JoinMetrics
from streams.join.ownership import Committed
from streams.join.partition import JoinPartition
from streams.join.settings import JoinSettings
from streams.join.window import WindowLimits
from streams.worker.clients import Clients
from streams.worker.engine import TransactionalWorker
from streams.worker.handler import Due, Outgoing
from tests.kit.broker_model import Aborted, Broker, Fenced, Member, Transaction
from tracelink.errors import UserError
from tracelink.kafka import errors
from tracelink.kafka.topics import PartitionId, TopicNames

LIMITS = WindowLimits(
    idle_gap=300, max_age=700, root_grace=None, max_records=3, max_bytes=10_000, max_record_bytes=10_000
)
ALLOWANCE = 1500
"""Covers a clock that has stepped back, a fetch that is not prompt, and a worker that was held up before its fetch."""
NAMES = TopicNames()
INPUTS = (NAMES.spans, NAMES.logs)

_PROMPT = 100

Callback = Callable[[Consumer, list[TopicPartition]], None]


class Step(NamedTuple):
    """What a worker meets on its way to the next stop.

    The time that has passed, the spans and logs that a fetch brings, whether a commit is due, and whether it hears what
    its group is at.
    """

    elapsed: int
    spans: int
    logs: int
    commits: bool
    hears: bool


def make_partition(number: int, committed: Committed, ledger: Ledger) -> JoinPartition:
    return JoinPartition(
        number,
        topics=INPUTS,
        limits=LIMITS,
        ledger=ledger,
        positions=committed.positions,
        times=committed.times,
        allowance=ALLOWANCE,
    )


@cache
def _settings(late_for: int) -> JoinSettings:
    return JoinSettings.load(
        idle_gap=LIMITS.idle_gap / 1000,
        max_age=LIMITS.max_age / 1000,
        max_trace_records=LIMITS.max_records,
        max_trace_bytes=LIMITS.max_bytes,
        max_record_bytes=LIMITS.max_record_bytes,
        allowance=ALLOWANCE / 1000,
        late_for=late_for / 1000,
        commit_interval=1e-9,
    )


class _Dead(BaseException):
    """The process was killed."""


class Worker:
    """A member of the group, one process after another."""

    def __init__(self, name: str, broker: Broker, late_for: int) -> None:
        self.name = name
        self.metrics = JoinMetrics(CollectorRegistry())
        """What all its processes have counted."""
        self._broker = broker
        self._settings = _settings(late_for)
        self._life: _Life | None = None

    def start(self) -> None:
        self.kill()
        self._life = _Life(self.name, self._broker, self._settings, self.metrics)

    def kill(self) -> None:
        if self._life is not None:
            self._life.end()
            self._life = None

    def is_alive(self) -> bool:
        return self._life is not None

    def do(self, step: Step) -> None:
        """Go on to the next stop, if it is alive."""
        if self._life is not None:
            self._broker.now += step.elapsed
            self._life.go_on(step)


class _Life:
    """A process, and others of its name that are started where it ends by itself."""

    step: Step

    def __init__(self, name: str, broker: Broker, settings: JoinSettings, metrics: JoinMetrics) -> None:
        self.name = name
        self.broker = broker
        self.revoking = False
        self._settings = settings
        self._metrics = metrics
        self._dead = False
        self._failure: BaseException | None = None
        # Locks, and no semaphores, which are Python: they are taken at every stop, and the test's time is that.
        self._go, self._stopped = Lock(), Lock()
        self._go.acquire()
        self._stopped.acquire()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    # Called by the test

    def go_on(self, step: Step) -> None:
        self.step = step
        self._go.release()
        self._stopped.acquire()
        if self._failure is not None:
            raise self._failure

    def end(self) -> None:
        self._dead = True
        self._go.release()
        self._thread.join()

    # Called in the process

    def pause(self) -> None:
        self.check()
        self._stopped.release()
        self._go.acquire()
        self.check()

    def check(self) -> None:
        if self._dead:
            raise _Dead

    def monotonic(self) -> float:
        return self.broker.now / 1000

    def _run(self) -> None:
        try:
            self._go.acquire()
            while True:
                stopping = Event()
                join = _Join(self._settings, self._metrics, stopping, self)
                try:
                    TransactionalWorker(
                        join, self._settings, stopping, clients=_Clients(self, self._settings), clock=self.monotonic
                    ).run()
                except UserError:
                    self.check()  # it has given up: a supervisor starts it again
        except _Dead:
            pass
        except BaseException as failure:  # noqa: BLE001 - the test raises it
            self._failure = failure
        self._stopped.release()


class _Join(Join):
    """Commits when the step says so, and as its partitions leave."""

    def __init__(self, settings: JoinSettings, metrics: JoinMetrics, stopping: Event, life: _Life) -> None:
        super().__init__(settings, metrics, stopping)
        self._life = life

    def due(self) -> Due | None:
        return super().due() if self._life.step.commits or self._life.revoking else None


class _Clients(Clients):
    """The clients of a process, as far as the worker calls them."""

    def __init__(self, life: _Life, settings: JoinSettings) -> None:
        super().__init__(settings, settings.group)
        self._life = life

    def consumer(self) -> Consumer:
        return cast("Consumer", _Consumer(self._life))

    def transactions(self, stopping: Event) -> Transactions:  # noqa: ARG002 - nothing blocks
        return cast("Transactions", _Transactions(self._life))

    def has_rival(self, *_: object) -> bool:
        return False

    def lookup(self, retry: Retry) -> OffsetLookup:  # noqa: ARG002 - answers never fail
        return cast("OffsetLookup", _OffsetLookup(self._life))

    def reader(self, ranges: Mapping[PartitionId, OffsetRange]) -> Reader:
        return cast("Reader", _Reader(self._life, ranges))


class _Consumer:
    """A member of the group that fetches what a step says."""

    def __init__(self, life: _Life) -> None:
        self._life, self._broker = life, life.broker
        self._member = Member(life.name)
        self._generation = 0
        self._joining = False
        self._assigned: list[TopicPartition] = []
        self._positions: dict[PartitionId, int] = {}
        self._ended: set[PartitionId] = set()
        self._was_blind = False
        self._on_assign: Callback
        self._on_revoke: Callback
        self._on_lost: Callback

    def subscribe(self, _: Sequence[str], *, on_assign: Callback, on_revoke: Callback, on_lost: Callback) -> None:
        self._on_assign, self._on_revoke, self._on_lost = on_assign, on_revoke, on_lost

    def memberid(self) -> str:
        return str(id(self._member))

    def consumer_group_metadata(self) -> tuple[Member, int]:
        return self._member, self._generation

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        self._positions = {(one.topic, one.partition): one.offset for one in partitions}
        self._ended.clear()

    def resume(self, _: Sequence[TopicPartition]) -> None: ...

    def get_watermark_offsets(self, where: TopicPartition, *, cached: bool) -> tuple[int, int]:  # noqa: ARG002 - it is
        return 0, len(self._records((where.topic, where.partition)))

    def close(self) -> None:
        self._life.check()
        if self._assigned:
            self._revoke()

    def consume(self, _: int, timeout: float) -> list[Message]:  # noqa: ARG002 - a step says how long it takes
        self._life.pause()
        if self._heed_the_group():
            self._join()
        return self._fetch()

    # The group

    def _heed_the_group(self) -> bool:
        """Let go where the group wants that; return whether it is to be joined, or still is."""
        group = self._broker.group
        if self._joining or not self._life.step.hears:
            return self._joining or not self._generation
        if not group.has(self._member) or group.generation != self._generation:
            if self._generation:
                self._on_lost(cast("Consumer", self), self._leave())
        elif group.waits_for(self._member):
            self._revoke()
        else:
            return False
        return True

    def _revoke(self) -> None:
        self._life.revoking = True
        try:
            self._on_revoke(cast("Consumer", self), self._assigned)
        finally:
            self._life.revoking = False
        self._leave()

    def _leave(self) -> list[TopicPartition]:
        left, self._assigned, self._positions = self._assigned, [], {}
        return left

    def _join(self) -> None:
        group = self._broker.group
        if not self._joining:
            self._joining = True
            group.join(self._member)
        elif group.has(self._member) and group.generation != self._generation:
            # The next rebalance may begin before this one has told what is assigned.
            if group.rebalancing and self._life.step.hears:
                group.join(self._member)
                return
            self._joining, self._generation = False, group.generation
            numbers = group.owned(self._life.name)
            self._assigned = [TopicPartition(topic, number) for number in numbers for topic in INPUTS]
            self._on_assign(cast("Consumer", self), self._assigned)
        elif not group.knows(self._member):
            group.join(self._member)

    # Reading

    def _fetch(self) -> list[Message]:
        # Once, after it was held up, a worker may look at its clock before it sees what has come.
        step = self._life.step
        blind = self._was_blind = not self._was_blind and not step.spans and not step.logs
        found: list[Message] = []
        for place in self._positions:
            count = step.spans if place[0] == NAMES.spans else step.logs
            found += self._fetch_from(place, max(count, not blind and self._is_late(place)))
        return found

    def _is_late(self, place: PartitionId) -> bool:
        """Tell whether a fetch at the end of an input must have brought something by now."""
        records, at = self._records(place), self._positions[place]
        return place in self._ended and at < len(records) and records[at].came < self._broker.now - _PROMPT

    def _fetch_from(self, place: PartitionId, count: int) -> list[Message]:
        records, at = self._records(place), self._positions[place]
        batch = [record.message for record in records[at : at + count]]
        self._positions[place] = end = at + len(batch)
        if batch:
            self._ended.discard(place)
        if count and end == len(records):
            self._ended.add(place)
            eof = KafkaError(errors.PARTITION_EOF)
            batch.append(Message(topic=place[0], partition=place[1], offset=end, error=eof))
        return batch

    def _records(self, place: PartitionId) -> list[Any]:
        topic, number = place
        return self._broker.inputs[number][INPUTS.index(topic)]


class _Transactions:
    """A producer whose calls a process may die in."""

    def __init__(self, life: _Life) -> None:
        self._life, self._broker = life, life.broker
        self._transaction: Transaction | None = None

    def start(self) -> None:
        self._life.check()
        self._broker.settle(self._life.name)

    def poll(self) -> None:
        self._life.check()

    def cause(self, error: KafkaException) -> KafkaError:
        found: KafkaError = error.args[0]
        return found

    def send(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Headers | None, *, partition: int
    ) -> None:
        self._call(lambda one: self._broker.send(one, Outgoing(topic, key, value, headers, partition)))

    def write_journal(self, _: str, records: Iterable[JournalRecord]) -> dict[int, list[int]]:
        self._life.pause()
        written: dict[int, list[int]] = {}
        for number, _key, value, _headers in records:

            def write(one: Transaction, number: int = number, value: bytes = value or b"") -> None:
                written.setdefault(number, []).append(self._broker.write_journal(one, number, value))

            self._call(write)
        self._life.pause()
        return written

    def commit(self, offsets: Sequence[TopicPartition], membership: tuple[Member, int]) -> None:
        by_place = {(one.topic, one.partition): one for one in offsets}
        committing = {
            number: Committed.read((one.offset, by_place[NAMES.logs, number].offset), one.metadata)
            for (topic, number), one in by_place.items()
            if topic == NAMES.spans
        }
        self._call(lambda one: self._broker.send_offsets(one, committing, *membership))
        self._life.pause()
        self._call(self._broker.commit)
        self._life.pause()
        self._transaction = None

    def abandon(self) -> None:
        self._life.check()
        if self._transaction is not None:
            self._call(self._broker.abort_open)
            self._transaction = None

    def _call(self, act: Callable[[Transaction], object]) -> None:
        self._life.check()
        if self._transaction is None:
            self._transaction = self._broker.begin(self._life.name)
        try:
            act(self._transaction)
        except Aborted:
            self._transaction = None
            raise transactions.Aborted from None
        except Fenced:
            raise KafkaException(KafkaError(errors.FENCED, fatal=True)) from None


class _OffsetLookup:
    """What the group has committed, and where journals end."""

    def __init__(self, life: _Life) -> None:
        self._life, self._broker = life, life.broker

    def next(self, _: Consumer, partitions: Collection[PartitionId]) -> dict[PartitionId, GroupOffset]:
        numbers = {number for _, number in partitions}
        while not self._broker.are_stable(numbers):
            self._life.pause()
        committed = {number: self._broker.committed(number) for number in numbers}
        self._life.pause()
        return {
            (topic, number): GroupOffset(one.positions[INPUTS.index(topic)], one.metadata())
            for topic, number in partitions
            for one in [committed[number]]
        }

    def ends(self, partitions: Iterable[PartitionId], *, committed: bool) -> dict[PartitionId, int]:  # noqa: ARG002 - it is not
        return {place: self._broker.high_watermark(place[1]) for place in partitions}


class _Reader:
    """Reads journals to their ends, once no transaction is open below."""

    def __init__(self, life: _Life, ranges: Mapping[PartitionId, OffsetRange]) -> None:
        self._life, self._broker = life, life.broker
        self._ranges = ranges
        self.positions = {place: one.start for place, one in ranges.items()}
        self.unread = {place for place, one in ranges.items() if one.start < one.end}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def poll(self, _: float) -> list[tuple[PartitionId, list[Message]]]:
        place = self.unread.pop()
        start, end = self._ranges[place]
        while self._broker.last_stable(place[1]) < end:
            self._life.pause()
        found = self._broker.read_journal(place[1], start, end)
        return [(place, [Message(partition=place[1], offset=at, value=value) for at, value in found])]
