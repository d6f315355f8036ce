"""The window settings of the join over time: what it has recorded, and the periods of a range. Pure.

The join records its settings at each start that changes them, with the stream time from which they hold.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypedDict

from tracelink.model.codec import Codec, load_schema


@dataclass(frozen=True, slots=True)
class JoinWindows:
    """The settings that decide which records are a part: milliseconds, records and bytes; `root_grace` 0 for none."""

    idle_gap: int
    max_age: int
    root_grace: int
    max_records: int
    max_bytes: int


BEFORE = JoinWindows(idle_gap=5000, max_age=60_000, root_grace=0, max_records=20_000, max_bytes=4 * 1024 * 1024)
"""The defaults of the last version that recorded no settings."""


class _Encoded(TypedDict):
    """See join_windows.avsc."""

    since: int
    written: int
    idleGap: int
    maxAge: int
    rootGrace: int
    maxRecords: int
    maxBytes: int


_CODEC: Codec[_Encoded] = Codec(load_schema("join_windows"))


class Recorded(NamedTuple):
    """Settings that hold from a stream time on, and the broker time at which they were recorded, in milliseconds."""

    since: int
    written: int
    windows: JoinWindows

    def encode(self) -> bytes:
        """Return the message for the topic."""
        windows = self.windows
        return _CODEC.encode(
            _Encoded(
                since=self.since,
                written=self.written,
                idleGap=windows.idle_gap,
                maxAge=windows.max_age,
                rootGrace=windows.root_grace,
                maxRecords=windows.max_records,
                maxBytes=windows.max_bytes,
            )
        )

    @staticmethod
    def decode(message: bytes) -> "Recorded":
        """Decode a message of the topic; raises InvalidRecord."""
        found = _CODEC.decode(message)
        windows = JoinWindows(
            found["idleGap"], found["maxAge"], found["rootGrace"], found["maxRecords"], found["maxBytes"]
        )
        return Recorded(found["since"], found["written"], windows)


class Period(NamedTuple):
    """A range of stream time, from `begin` to before `end` in milliseconds, in which the join had the same windows.

    `is_recorded` is False before the first record: then they are the defaults of the version before.
    """

    begin: int
    end: int
    windows: JoinWindows
    is_recorded: bool = True


def history(found: Iterable[Recorded]) -> list[Recorded]:
    """Return the records that hold, in the order of their stream times.

    A later one replaces all that it precedes in stream time: a join whose offsets were set back joins again.
    """
    kept: list[Recorded] = []
    for one in sorted(found, key=lambda one: one.written):
        kept = [*(earlier for earlier in kept if earlier.since < one.since), one]
    return kept


def periods(kept: Sequence[Recorded], begin: int, end: int) -> list[Period]:
    """Cut a range at the changes of the windows; `kept` is a history."""
    found = [Period(begin, end, BEFORE, is_recorded=False)]
    for one in kept:
        if one.since < end:
            since = max(begin, one.since)
            found[-1] = found[-1]._replace(end=since)
            found.append(Period(since, end, one.windows))
    return merged(one for one in found if one.begin < one.end)


def merged(found: Iterable[Period]) -> list[Period]:
    """Merge neighbours with the same windows."""
    kept: list[Period] = []
    for one in found:
        if kept and kept[-1][2:] == one[2:]:
            kept[-1] = kept[-1]._replace(end=one.end)
        else:
            kept.append(one)
    return kept


def others(windows: JoinWindows, given: Mapping[str, int]) -> dict[str, int]:
    """Return the given values that differ, by the names of their fields."""
    return {name: value for name, value in given.items() if getattr(windows, name) != value}


def under(found: Iterable[Period], given: Mapping[str, int]) -> list[Period]:
    """Return the periods with the given values in place of their own."""
    return merged(one._replace(windows=replace(one.windows, **given)) for one in found)
