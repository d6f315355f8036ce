"""The partitions of one worker, and their committed state.

Pure: no I/O and no clock. The worker's loop reports assignments, revocations and the outcome of transactions. This
module decides which messages to send, what to commit, and which revoked partitions continue with their state.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from streams.join.journal import Entry, Ledger
from streams.join.partition import JoinPartition, Output, TargetMessage

_KNOWN = 4


@dataclass(frozen=True, slots=True)
class Committed:
    """The state that the group has committed for a partition; before the first commit, the start of the inputs.

    `positions` are the offsets of spans and logs. `journal` is the offset from which to read the journal, `last` that
    of the transaction's last journal record, which identifies the transaction; both are None if unknown. `times` are
    the inputs' stream times at `positions`. An earlier record may have set them: a broker's clock can step back.
    """

    positions: tuple[int, int]
    journal: int | None = None
    last: int | None = None
    times: tuple[int, int] = (0, 0)

    def metadata(self) -> str:
        """Return the metadata to commit with the offsets."""
        return f"{self.journal},{self.last},{self.times[0]},{self.times[1]}"

    @staticmethod
    def read(positions: tuple[int, int], metadata: str | None) -> "Committed":
        """Parse committed offsets and their metadata."""
        # Offsets that were reset by hand have no journal offset: then the whole journal is read.
        known = [int(text) for text in (metadata or "").split(",") if text.isdecimal()]
        if len(known) != _KNOWN:
            return Committed(positions)
        journal, last, *times = known
        return Committed(positions, journal, last, (times[0], times[1]))


class Share(NamedTuple):
    """A partition's share of a transaction: the lowest offsets still needed, their times, and journal records."""

    low: tuple[int, int]
    times: tuple[int, int]
    entries: list[Entry]


class Written(NamedTuple):
    """A share whose journal records were written at these offsets, and the state to commit for it."""

    share: Share
    offsets: Sequence[int]
    committing: Committed


@dataclass(slots=True)
class Held:
    """A partition, its last committed state, and the number of its pending messages in the open transaction."""

    partition: JoinPartition
    committed: Committed
    sent: int = 0


class Ownership:
    """The partitions that the group has assigned to this worker.

    A transaction covers all of them: call `unsent` whenever parts have closed, then `due`, `written` and `committed`.
    After `aborted`, all pending messages are unsent again. Methods that release partitions return them: the next
    owner reads their uncommitted records again.
    """

    def __init__(self, make: Callable[[int, Committed, Ledger], JoinPartition]) -> None:
        """`make` makes a partition from its number, its committed state, and the ledger of its committed parts."""
        self._make = make
        self.held: dict[int, Held] = {}
        """The assigned partitions, by number."""
        # Revoked after a successful commit: kept until the next assignment, which may bring them back.
        self._revoked: dict[int, Held] = {}

    def partitions(self) -> list[JoinPartition]:
        """Return the assigned partitions."""
        return [held.partition for held in self.held.values()]

    def relieve(self, most: int) -> None:
        """Keep the open parts within `most` bytes: close the oldest parts of the fullest partition early."""
        partitions = self.partitions()
        over = sum(partition.window.size for partition in partitions) - most
        while over > 0:
            fullest = max(partitions, key=lambda one: one.window.size)
            before = fullest.window.size
            if not fullest.window.relieve():
                break
            fullest.collect()
            over -= before - fullest.window.size

    # Assignment and release

    def unknown(self, committed: Mapping[int, Committed]) -> dict[int, Committed]:
        """Return the assigned partitions without valid state here: their journals must be read.

        The state of a revoked partition stays valid until another worker commits for it.
        """
        return {number: one for number, one in committed.items() if not self._is_as_revoked(number, one)}

    def assign(self, committed: Mapping[int, Committed], ledgers: Mapping[int, Ledger]) -> list[JoinPartition]:
        """Take these partitions: new ones if there is a ledger for them, else the revoked ones with their state.

        Returns the revoked partitions whose state is dropped.
        """
        revoked, self._revoked = self._revoked, {}
        for number, one in committed.items():
            if number in ledgers:
                self.held[number] = Held(self._make(number, one, ledgers[number]), one)
            else:
                self.held[number] = revoked.pop(number)
                self.held[number].partition.resume()
        return _partitions(revoked.values())

    def revoke(self) -> None:
        """Release all partitions after a successful commit; keep their state for the next assignment."""
        self._revoked |= self.held
        self.held.clear()

    def release_all(self) -> list[JoinPartition]:
        """Release all partitions, including the revoked ones, and drop their state; the open transaction is aborted."""
        everything = [*self.held.values(), *self._revoked.values()]
        self.held.clear()
        self._revoked.clear()
        return _partitions(everything)

    # Transactions

    def unsent(self) -> Iterator[TargetMessage]:
        """Yield the pending messages that the open transaction does not have yet."""
        for held in self.held.values():
            messages = held.partition.pending.messages
            yield from messages[held.sent :]
            held.sent = len(messages)

    def due(self) -> dict[int, Share]:
        """Return the shares of the next commit, for the partitions with new output or offsets."""
        lows = {number: held.partition.low() for number, held in self.held.items()}
        return {
            number: Share(lows[number], held.partition.times(), held.partition.entries())
            for number, held in self.held.items()
            if held.partition.pending.messages or lows[number] != held.committed.positions
        }

    def written(self, shares: Mapping[int, Share], offsets: Mapping[int, Sequence[int]]) -> dict[int, Written]:
        """Return the states to commit after the shares' records were written to the journal at these offsets."""
        written = {}
        for number, share in shares.items():
            partition, at = self.held[number].partition, offsets[number]
            start = partition.ledger.start(share.low, partition.watermark, at[0])
            written[number] = Written(share, at, Committed(share.low, start, at[-1], share.times))
        return written

    def committed(self, written: Mapping[int, Written]) -> dict[int, Output]:
        """Note that the transaction was committed; returns its output by partition."""
        gone_out = {}
        for number, (share, offsets, committing) in written.items():
            held = self.held[number]
            held.committed, held.sent = committing, 0
            gone_out[number] = held.partition.committed(offsets, share.entries)
        return gone_out

    def aborted(self) -> None:
        """Note that the open transaction was aborted: its messages go into the next one."""
        for held in self.held.values():
            held.sent = 0

    def _is_as_revoked(self, number: int, committed: Committed) -> bool:
        revoked = self._revoked.get(number)
        return revoked is not None and revoked.committed == committed


def _partitions(held: Iterable[Held]) -> list[JoinPartition]:
    return [one.partition for one in held]
