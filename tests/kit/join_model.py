"""A worker as `streams.join` runs it, on the broker of the tests: it stops wherever a process may die or be held up."""

from collections.abc import Iterator
from typing import NamedTuple

from streams.join.journal import Ledger
from streams.join.ownership import Committed, Ownership
from streams.join.partition import Partition
from streams.join.window import LOGS, SPANS, Limits
from tests.kit.broker_model import Aborted, Broker, Fenced, Member, Transaction

LIMITS = Limits(idle_gap=300, max_age=700, root_grace=None, max_records=3, max_bytes=10_000, max_record_bytes=10_000)
ALLOWANCE = 1500
"""Covers a clock that has stepped back, a fetch that is not prompt, and a worker that was held up before its fetch."""

_PROMPT = 100
_TIME_OF_DAY = 1 << 60


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


def make_partition(number: int, committed: Committed, ledger: Ledger) -> Partition:
    return Partition(
        number,
        topics=("spans", "logs"),
        limits=LIMITS,
        ledger=ledger,
        positions=committed.positions,
        times=committed.times,
        allowance=ALLOWANCE,
    )


class Worker:
    """A member of the group, one process after another."""

    def __init__(self, name: str, broker: Broker, late_for: int) -> None:
        self.name = name
        self._broker = broker
        self._late_for = late_for
        self._life: Iterator[None] | None = None
        self._step: Step
        self._ownership: Ownership
        self._member: Member
        self._generation: int
        self._transaction: Transaction | None
        self._ended: set[tuple[int, int]] = set()
        self._was_blind = False

    def start(self) -> None:
        self._ownership = Ownership(make_partition)
        self._life = self._run()

    def kill(self) -> None:
        self._life = None

    def is_alive(self) -> bool:
        return self._life is not None

    def do(self, step: Step) -> None:
        """Go on to the next stop, if it is alive."""
        if self._life is not None:
            self._broker.now += step.elapsed
            self._step = step
            next(self._life)

    def _run(self) -> Iterator[None]:
        while True:
            self._member, self._generation, self._transaction = Member(self.name), 0, None
            self._broker.settle(self.name)
            try:
                yield from self._be_a_member()
            except Fenced:
                self._ownership.lose_all()

    def _be_a_member(self) -> Iterator[None]:
        yield from self._join()
        while True:
            yield from self._heed_the_group()
            self._read()
            self._advance()
            yield
            try:
                self._send()
                if self._step.commits:
                    yield from self._commit()
            except Aborted:
                self._note_abort()

    def _advance(self) -> None:
        for partition in self._ownership.partitions():
            partition.advance(self._broker.now)

    # Reading

    def _read(self) -> None:
        # Once, after it was held up, a worker may look at its clock before it sees what has come.
        blind = self._was_blind = not self._was_blind and not self._step.spans and not self._step.logs
        for partition in self._ownership.partitions():
            for kind, count in ((SPANS, self._step.spans), (LOGS, self._step.logs)):
                late = not blind and self._is_late(partition, kind)
                self._fetch(partition, kind, max(count, late))

    def _is_late(self, partition: Partition, kind: int) -> bool:
        """Tell whether a fetch at the end of an input must have brought something by now."""
        records = self._broker.inputs[partition.number][kind]
        at = partition.next_offset(kind)
        ended = (partition.number, kind) in self._ended
        return ended and at < len(records) and records[at].came < self._broker.now - _PROMPT

    def _fetch(self, partition: Partition, kind: int, count: int) -> None:
        records, at = self._broker.inputs[partition.number][kind], partition.next_offset(kind)
        batch = records[at : at + count]
        if batch:
            partition.receive(kind, batch, self._broker.now, _TIME_OF_DAY)
            self._ended.discard((partition.number, kind))
        if count and at + len(batch) == len(records):
            partition.reach_end(kind)
            self._ended.add((partition.number, kind))

    # Writing

    def _send(self) -> None:
        for message in self._ownership.unsent():
            self._broker.send(self._begun(), message)

    def _commit(self) -> Iterator[None]:
        due = self._ownership.due()
        if not due:
            return
        self._send()
        yield
        transaction = self._begun()
        offsets = {
            number: self._broker.write_journal(transaction, number, share.entries) for number, share in due.items()
        }
        yield
        written = self._ownership.written(due, offsets)
        committing = {number: one.committing for number, one in written.items()}
        self._broker.send_offsets(transaction, committing, self._member, self._generation)
        yield
        self._broker.commit(transaction)
        yield
        self._ownership.committed(written)
        self._transaction = None

    def _begun(self) -> Transaction:
        if self._transaction is None:
            self._transaction = self._broker.begin(self.name)
        return self._transaction

    def _note_abort(self) -> None:
        if self._transaction is not None:
            self._broker.abort(self._transaction)
            self._transaction = None
        self._ownership.aborted()

    # The group

    def _heed_the_group(self) -> Iterator[None]:
        group = self._broker.group
        if not self._step.hears:
            return
        if not group.has(self._member) or group.generation != self._generation:
            self._forget()
        elif group.waits_for(self._member):
            yield from self._revoke()
        else:
            return
        yield from self._join()

    def _revoke(self) -> Iterator[None]:
        self._advance()
        try:
            yield from self._commit()
        except Aborted:
            self._forget()
        else:
            self._ownership.park(self._numbers())

    def _forget(self) -> None:
        self._note_abort()
        self._ownership.lose(self._numbers())

    def _numbers(self) -> list[int]:
        return [partition.number for partition in self._ownership.partitions()]

    def _join(self) -> Iterator[None]:
        group = self._broker.group
        group.join(self._member)
        while True:
            yield
            if group.has(self._member) and group.generation != self._generation:
                # The next rebalance may begin before this one has told what is assigned.
                if not (group.rebalancing and self._step.hears):
                    break
                group.join(self._member)
            elif not group.knows(self._member):
                group.join(self._member)
        self._generation = group.generation
        yield from self._assign(group.owned(self.name))

    def _assign(self, numbers: list[int]) -> Iterator[None]:
        broker = self._broker
        while not broker.are_stable(numbers):
            yield
        committed = {number: broker.committed(number) for number in numbers}
        unknown = self._ownership.unknown(committed)
        yield
        ledgers = {number: Ledger(self._late_for, one.positions) for number, one in unknown.items()}
        ends = {number: broker.high_watermark(number) for number in unknown}
        for number, one in unknown.items():
            while broker.last_stable(number) < ends[number]:
                yield
            for offset, entry in broker.read_journal(number, one.journal or 0, ends[number]):
                ledgers[number].learn(offset, entry)
        self._ownership.assign(committed, ledgers)
        self._ended.clear()
