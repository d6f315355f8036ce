"""The curves of one kind, and the offset up to which each counts. It is pure: the entries come from a mapping.

An entry holds the counts of a day and the offset in one record. All records of a key come from one partition, in
order, so an entry knows which of them it counts already: a record that is read again changes nothing.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from pipeline.model.trends import (
    CURVE,
    MINUTES,
    OTHER,
    Curve,
    Kind,
    bounded,
    head_of,
    key_of,
    minutes_of,
    partition_in,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """The counts of a key by minute since the epoch, and the offset up to which it counts, inclusive."""

    offset: int = -1
    minutes: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, curve: Curve) -> Self:
        """Return the entry of a curve."""
        return cls(curve["offset"], minutes_of(curve))


def counted(entry: Entry, minute: int, offset: int) -> Entry:
    """Return an entry that counts this record as well; the same entry if it counts the record already."""
    if offset <= entry.offset:
        return entry
    return Entry(offset, {**entry.minutes, minute: entry.minutes.get(minute, 0) + 1})


def recent(entry: Entry, newest: int) -> Entry:
    """Return an entry without the minutes that are a day or more before the newest minute of the stream."""
    oldest = newest - MINUTES + 1
    if all(minute >= oldest for minute in entry.minutes):
        return entry
    return Entry(entry.offset, {minute: count for minute, count in entry.minutes.items() if minute >= oldest})


class Curves:
    """Counts records of one kind. `stored` are the encoded entries of all assigned partitions, by key.

    Entries that have changed are kept here until `forget` is called: after they were stored, or, if they were not, to
    begin again at the stored entries. At most `most` names are counted separately in a partition, further ones together
    under `OTHER`.
    """

    def __init__(self, kind: Kind, stored: Mapping[bytes, bytes], most: int) -> None:
        self.kind = kind
        self._stored = stored
        self._most = most
        self._changed: dict[bytes, tuple[int, str, Entry]] = {}
        self._newest = self._expired_at = 0
        self._sizes: Counter[int] | None = None

    def count(self, partition: int, name: str, minute: int, offset: int) -> None:
        """Count a record."""
        name = bounded(name)
        key = key_of(self.kind, partition, name)
        if key not in self._changed and key not in self._stored:
            name, key = self._add(partition, name, key)
        entry = self._entry(key)
        after = counted(entry, minute, offset)
        self._newest = max(self._newest, minute)
        if after is not entry:
            self._changed[key] = partition, name, after

    def changes(self) -> dict[bytes, bytes | None]:
        """Return the changed entries, encoded; None for stored ones that have no recent minute left."""
        written = {key: self._encoded(*changed) for key, changed in self._changed.items()}
        return self._expired() | {key: value for key, value in written.items() if value or key in self._stored}

    def forget(self) -> None:
        """Forget the changed entries: they are stored, or their records will be read again."""
        self._changed = {}
        self._sizes = None

    def _add(self, partition: int, name: str, key: bytes) -> tuple[str, bytes]:
        """Return the name and the key under which a new name is counted."""
        if self._sizes is None:
            self._sizes = Counter(map(partition_in, self._stored))
        if self._sizes[partition] >= self._most:
            return OTHER, key_of(self.kind, partition, OTHER)
        self._sizes[partition] += 1
        return name, key

    def _entry(self, key: bytes) -> Entry:
        if key in self._changed:
            return self._changed[key][2]
        stored = self._stored.get(key)
        return Entry() if stored is None else Entry.of(CURVE.decode(stored))

    def _expired(self) -> dict[bytes, bytes | None]:
        """Return the stored keys without a recent minute; once for each new minute of the stream."""
        if self._newest == self._expired_at:
            return {}
        self._expired_at = self._newest
        oldest = self._newest - MINUTES + 1
        return {key: None for key, value in self._stored.items() if head_of(value)[1] < oldest}

    def _encoded(self, partition: int, name: str, entry: Entry) -> bytes | None:
        entry = recent(entry, self._newest)
        if not entry.minutes:
            return None
        minutes = sorted(entry.minutes, reverse=True)
        newest = minutes[0]
        return CURVE.encode(
            {
                "offset": entry.offset,
                "newest": newest,
                "ages": [newest - minute for minute in minutes],
                "counts": [entry.minutes[minute] for minute in minutes],
                "kind": self.kind,
                "partition": partition,
                "name": name,
            }
        )
