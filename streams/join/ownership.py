"""The partitions of one worker, and what of them is committed.

Pure: no I/O and no clock. The loop says which partitions come and go and what became of a transaction; this says what
is still to be sent, what a transaction is to commit, and which partition may go on as it was left.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from streams.join.journal import Entry, Ledger
from streams.join.partition import JoinPartition, Output, TargetMessage

_KNOWN = 4


@dataclass(frozen=True, slots=True)
class Committed:
    """What the group has committed for a partition; before the first commit, where the inputs begin.

    Offsets of spans and logs; the journal's offset from which it is to be read, and that of the transaction's last
    journal record, which no other transaction has. The latter two are None where they are not known. `times` are the
    inputs' stream times at these offsets, which a record further back may have set: a broker's clock can step back.
    """

    positions: tuple[int, int]
    journal: int | None = None
    last: int | None = None
    times: tuple[int, int] = (0, 0)

    def metadata(self) -> str:
        """Return what is committed beside the offsets."""
        return f"{self.journal},{self.last},{self.times[0]},{self.times[1]}"

    @staticmethod
    def read(positions: tuple[int, int], metadata: str | None) -> "Committed":
        """Return what was committed as these offsets, with this beside them."""
        # Offsets that somebody has reset carry no journal offset: it is then read whole.
        known = [int(text) for text in (metadata or "").split(",") if text.isdecimal()]
        if len(known) != _KNOWN:
            return Committed(positions)
        journal, last, *times = known
        return Committed(positions, journal, last, (times[0], times[1]))


class Share(NamedTuple):
    """What a transaction is to do for a partition: the lowest offsets still needed, and the journal's records."""

    low: tuple[int, int]
    times: tuple[int, int]
    entries: list[Entry]


class Written(NamedTuple):
    """A share whose journal records are written at these offsets, and what is to be committed for it."""

    share: Share
    offsets: Sequence[int]
    committing: Committed


@dataclass(slots=True)
class Held:
    """A partition, what was last committed for it, and how many of its pending messages the transaction has."""

    partition: JoinPartition
    committed: Committed
    sent: int = 0


class Ownership:
    """The partitions that the group has given to this worker.

    A transaction is for all of them: `unsent`, as often as something has closed, then `due`, `written` and at last
    `committed`; or `aborted`, after which everything pending is unsent again, as long as the partition stays. Methods
    that let go of partitions return them: whatever was not committed of those is their next owner's to read.
    """

    def __init__(self, make: Callable[[int, Committed, Ledger], JoinPartition]) -> None:
        """`make` makes a partition that begins where the group has committed, knowing what has gone out."""
        self._make = make
        self.held: dict[int, Held] = {}
        """The partitions that this worker has now, by their numbers."""
        # Revoked in good order: kept for a moment, in case the next assignment gives them back.
        self._revoked: dict[int, Held] = {}

    def partitions(self) -> list[JoinPartition]:
        """Return the partitions that this worker has now."""
        return [held.partition for held in self.held.values()]

    def relieve(self, most: int) -> None:
        """Keep the open windows within so many bytes: the fullest partition's oldest parts go out early."""
        partitions = self.partitions()
        over = sum(partition.window.size for partition in partitions) - most
        while over > 0:
            fullest = max(partitions, key=lambda one: one.window.size)
            before = fullest.window.size
            if not fullest.window.relieve():
                break
            fullest.collect()
            over -= before - fullest.window.size

    # Coming and going

    def unknown(self, committed: Mapping[int, Committed]) -> dict[int, Committed]:
        """Return those of the assigned partitions of which this worker has no valid state: their journals are read.

        A parked one is valid if nobody has committed for it since; else another has taken its records further.
        """
        return {number: one for number, one in committed.items() if not self._is_as_revoked(number, one)}

    def assign(self, committed: Mapping[int, Committed], ledgers: Mapping[int, Ledger]) -> list[JoinPartition]:
        """Take these partitions: made anew where there is a ledger, as they were parked where there is none.

        Returns the parked ones that did not come back as they were left.
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
        """Let all partitions go after a last commit; they may come back."""
        self._revoked |= self.held
        self.held.clear()

    def release_all(self) -> list[JoinPartition]:
        """Let all go, with what was not committed and what was parked; the open transaction is undone."""
        everything = [*self.held.values(), *self._revoked.values()]
        self.held.clear()
        self._revoked.clear()
        return _partitions(everything)

    # Transactions

    def unsent(self) -> Iterator[TargetMessage]:
        """Hand over the pending messages that the open transaction does not have yet."""
        for held in self.held.values():
            messages = held.partition.pending.messages
            yield from messages[held.sent :]
            held.sent = len(messages)

    def due(self) -> dict[int, Share]:
        """Return what a transaction is to do now, for the partitions that have something new."""
        lows = {number: held.partition.low() for number, held in self.held.items()}
        return {
            number: Share(lows[number], held.partition.times(), held.partition.entries())
            for number, held in self.held.items()
            if held.partition.pending.messages or lows[number] != held.committed.positions
        }

    def written(self, shares: Mapping[int, Share], offsets: Mapping[int, Sequence[int]]) -> dict[int, Written]:
        """Return what is to be committed, once the shares' records are in the journal at these offsets."""
        written = {}
        for number, share in shares.items():
            partition, at = self.held[number].partition, offsets[number]
            start = partition.ledger.start(share.low, partition.watermark, at[0])
            written[number] = Written(share, at, Committed(share.low, start, at[-1], share.times))
        return written

    def committed(self, written: Mapping[int, Written]) -> dict[int, Output]:
        """Note that the transaction has committed; returns what went out in it."""
        gone_out = {}
        for number, (share, offsets, committing) in written.items():
            held = self.held[number]
            held.committed, held.sent = committing, 0
            gone_out[number] = held.partition.committed(offsets, share.entries)
        return gone_out

    def aborted(self) -> None:
        """Note that the open transaction has been undone: what was sent in it goes out in the next."""
        for held in self.held.values():
            held.sent = 0

    def _is_as_revoked(self, number: int, committed: Committed) -> bool:
        revoked = self._revoked.get(number)
        return revoked is not None and revoked.committed == committed


def _partitions(held: Iterable[Held]) -> list[JoinPartition]:
    return [one.partition for one in held]
