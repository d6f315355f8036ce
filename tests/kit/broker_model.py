"""A broker of a few lines that is as difficult as Kafka about transactions and groups.

A transaction that has ended shows so only later, and in each place by itself; a process that the group has given up on
is not told, and what it has begun may still commit. Times are in milliseconds.
"""

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

from confluent_kafka import Message

from streams.join.ownership import Committed
from streams.worker.handler import Outgoing

OFFSETS = -1
"""A place where a transaction's marker may be missing: the group's offsets. The others are the journal's partitions."""


class Aborted(Exception):
    """The transaction is undone, its producer may begin another."""


class Fenced(Exception):
    """The broker has undone the transaction because it took too long, and its producer is done with."""


class State(Enum):
    OPEN = auto()
    COMMITTED = auto()
    ABORTED = auto()


@dataclass(eq=False)
class Transaction:
    producer: str
    state: State = State.OPEN
    out: list[Outgoing] = field(default_factory=list)
    offsets: Mapping[int, Committed] = field(default_factory=dict)
    unmarked: set[int] = field(default_factory=set)


class Appended(NamedTuple):
    """A record of an input, and when it came: a broker's clock may have stamped it with an earlier time."""

    message: Message
    came: int


@dataclass(frozen=True)
class Member:
    """A process of a group's member; another process of that name is another one."""

    name: str
    process: object = field(default_factory=object)


class Group:
    """Who has which partition, from one generation to the next."""

    def __init__(self, partitions: int) -> None:
        self.generation = 0
        self.rebalancing = False
        self._turn = 0
        self._partitions = partitions
        self._members: dict[str, Member] = {}
        self._joining: dict[str, Member] = {}
        self._owners: dict[int, str] = {}

    def join(self, member: Member) -> None:
        """Take part in the next generation; a static member that comes back goes on in this one."""
        comes_back = self._members.get(member.name, member) is not member
        if comes_back and not self.rebalancing:
            self._members[member.name] = member
            return
        self.rebalancing = True
        self._joining[member.name] = member
        self._go_on()

    def expel(self, name: str) -> None:
        """Give up on a member that was not heard of; it is not told."""
        if name in self._members and name not in self._joining:
            del self._members[name]
            self.rebalancing = True
            self._go_on()

    def rebalance(self) -> None:
        """Ask the members to join again, to hand out the partitions in another way."""
        self._turn += 1
        self.rebalancing = bool(self._members)

    def has(self, member: Member) -> bool:
        return self._members.get(member.name) is member

    def waits_for(self, member: Member) -> bool:
        return self.rebalancing and self.has(member) and member.name not in self._joining

    def knows(self, member: Member) -> bool:
        return self.has(member) or self._joining.get(member.name) is member

    def owner(self, number: int) -> str:
        return self._owners[number]

    def owned(self, name: str) -> list[int]:
        return [number for number, owner in self._owners.items() if owner == name]

    def _go_on(self) -> None:
        if self._joining and self._members.keys() <= self._joining.keys():
            self._members, self._joining = self._joining, {}
            names = sorted(self._members)
            self._owners = {number: names[(number + self._turn) % len(names)] for number in range(self._partitions)}
            self.generation += 1
            self.rebalancing = False


class Broker:
    """Inputs, journals, committed offsets and the group of some partitions."""

    def __init__(self, partitions: int) -> None:
        self.now = 1000
        self.group = Group(partitions)
        self.inputs: list[tuple[list[Appended], list[Appended]]] = [([], []) for _ in range(partitions)]
        self._journals: list[list[tuple[bytes, Transaction]]] = [[] for _ in range(partitions)]
        self._committed: dict[int, Committed] = {}
        self._transactions: list[Transaction] = []
        self._failing: set[str] = set()

    # Transactions

    def settle(self, producer: str) -> None:
        """Undo what a producer has left open, and wait until all that it did has ended everywhere."""
        for transaction in self._of(producer):
            self.abort(transaction)
            self._show_end(transaction, self._everywhere)

    def begin(self, producer: str) -> Transaction:
        self.settle(producer)
        transaction = Transaction(producer)
        self._transactions.append(transaction)
        return transaction

    def send(self, transaction: Transaction, message: Outgoing) -> None:
        self._require_open(transaction)
        transaction.out.append(message)

    def write_journal(self, transaction: Transaction, number: int, value: bytes) -> int:
        """Return the record's offset."""
        self._require_open(transaction)
        self._journals[number].append((value, transaction))
        transaction.unmarked.add(number)
        return len(self._journals[number]) - 1

    def send_offsets(
        self, transaction: Transaction, offsets: Mapping[int, Committed], member: Member, generation: int
    ) -> None:
        self._require_open(transaction)
        if not self.group.has(member) or generation != self.group.generation:
            self.abort(transaction)
            raise Aborted
        transaction.offsets = offsets
        transaction.unmarked.add(OFFSETS)

    def commit(self, transaction: Transaction) -> None:
        self._require_open(transaction)
        transaction.state = State.COMMITTED

    def abort(self, transaction: Transaction) -> None:
        if transaction.state is State.OPEN:
            transaction.state = State.ABORTED

    def abort_open(self, transaction: Transaction) -> None:
        """Abort as its producer does, which may have been fenced."""
        if transaction.state is not State.OPEN:
            raise Fenced
        self.abort(transaction)

    def fail_next(self, producer: str) -> None:
        """Have the next call of a transaction of this producer fail, which undoes that transaction."""
        self._failing.add(producer)

    def time_out(self, producer: str) -> None:
        for transaction in self._of(producer):
            self.abort(transaction)

    def show_ends(self, where: Callable[[int], bool]) -> None:
        """Let it be seen in these places which transactions have ended."""
        for transaction in self._transactions:
            if transaction.state is not State.OPEN:
                self._show_end(transaction, where)

    def is_at_rest(self) -> bool:
        """Tell whether nothing is under way in a transaction or in the group."""
        return not self.group.rebalancing and all(one.state is not State.OPEN for one in self._transactions)

    def gone_out(self) -> list[Outgoing]:
        return [one for done in self._transactions if done.state is State.COMMITTED for one in done.out]

    def _show_end(self, transaction: Transaction, where: Callable[[int], bool]) -> None:
        shown = {place for place in transaction.unmarked if where(place)}
        transaction.unmarked -= shown
        if OFFSETS in shown and transaction.state is State.COMMITTED:
            self._committed.update(transaction.offsets)

    @staticmethod
    def _everywhere(_: int) -> bool:
        return True

    def _of(self, producer: str) -> list[Transaction]:
        return [transaction for transaction in self._transactions if transaction.producer == producer]

    def _require_open(self, transaction: Transaction) -> None:
        if transaction.state is not State.OPEN:
            raise Fenced
        if transaction.producer in self._failing:
            self._failing.remove(transaction.producer)
            self.abort(transaction)
            raise Aborted

    # Recovery

    def are_stable(self, numbers: Container[int]) -> bool:
        """Tell whether no transaction is open on the offsets of these partitions, as far as can be seen."""
        return not any(
            OFFSETS in one.unmarked and any(number in numbers for number in one.offsets) for one in self._transactions
        )

    def committed(self, number: int) -> Committed:
        found = self._committed.get(number)
        return Committed((0, 0)) if found is None else Committed.read(found.positions, found.metadata())

    def high_watermark(self, number: int) -> int:
        return len(self._journals[number])

    def last_stable(self, number: int) -> int:
        """Return the journal's offset before which no transaction is open, as far as can be seen."""
        journal = self._journals[number]
        return next((at for at, (_, one) in enumerate(journal) if number in one.unmarked), len(journal))

    def read_journal(self, number: int, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Give the committed records of a part of a journal, with their offsets."""
        for at in range(start, end):
            body, transaction = self._journals[number][at]
            if transaction.state is State.COMMITTED:
                yield at, body
