"""How long a fault keeps the join's partitions from going on, in parts that each have a bound of their own."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from tests.faults.checks import Check

_RECONNECT_SECONDS = 1.0
"""A client waits for so long, at most, until it tries to reach a broker again."""
_COORDINATORS_SECONDS = 1.0
"""It asks for a coordinator twice a second; one that has just been found may not answer for it yet."""
_ABORT_SCAN_SECONDS = 1.0
"""The broker looks so often for transactions that have timed out."""
_READ_AGAIN_SECONDS = 1.0
"""What is read again is read within this time here: offsets, the journal and the open windows' records."""
_COMMIT_SECONDS = 2.0
"""A worker's pause after a transaction that was undone, and the next one."""
_STARVED = 0.9
"""Something waited for a processor for such a share of a recovery on a machine that is too slow to judge its parts."""

_ASSIGNED, _RESTORED = "assigned", "joining"
_LINE = re.compile(
    rf"^(?P<time>\S+ \S+) INFO +\S+: (?P<what>{_ASSIGNED}|{_RESTORED}) partitions \[(?P<numbers>[\d, ]+)\]",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Parts:
    """Seconds of a recovery, in their order."""

    assigned: float
    """Until the group has given the partition to a worker."""
    restored: float
    """Until the worker knows what was done of it, once no transaction is open on its offsets."""
    written: float
    """Until it has made the first record of the first transaction that commits."""
    committed: float
    """Until a reader of committed records has seen that."""

    @property
    def seconds(self) -> float:
        return self.assigned + self.restored + self.written + self.committed


class Start(NamedTuple):
    """Seconds of a broker's start, which are its own and have no bound."""

    broker: float
    """Until it answers."""
    coordinators: float
    """From then on until its coordinators answer a client that has only just come."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """How a fault's slowest partition went on; where the broker was started, from when its coordinators answered."""

    fault: str
    parts: Parts
    start: Start | None = None
    starved: float | None = None
    """For which share of the time something waited for a processor; None where nobody counts that."""

    @property
    def seconds(self) -> float:
        return self.parts.seconds

    def __str__(self) -> str:
        about = [f"{one.name} {getattr(self.parts, one.name):.1f}" for one in fields(Parts)]
        if self.start:
            about.append(
                f"after the broker's {self.start.broker:.1f} and its coordinators' {self.start.coordinators:.1f}"
            )
        if self.starved is not None:
            about.append(f"processors busy for {self.starved:.0%} of it")
        return f"{self.fault}: {self.seconds:.1f} s ({', '.join(about)})"


class Bound(NamedTuple):
    """Seconds that a recovery may take, and each part of it; parts that wait for the same are within the sum once."""

    seconds: float
    parts: Parts


def bound(session: float, transaction: float) -> Bound:
    """Return the bound under a session's and a transaction's time-out, which pass at the same time."""
    found = _RECONNECT_SECONDS + _COORDINATORS_SECONDS
    undone = transaction + _ABORT_SCAN_SECONDS
    return Bound(
        found + max(session, undone) + _READ_AGAIN_SECONDS + _COMMIT_SECONDS,
        Parts(
            assigned=found + session,
            restored=undone + _READ_AGAIN_SECONDS,
            written=found + _COMMIT_SECONDS,
            committed=found + _COMMIT_SECONDS,
        ),
    )


def within(recoveries: Iterable[Recovery], most: Bound) -> Check:
    """Hold recoveries, and each of their parts, against a bound."""
    all_of_them = list(recoveries)
    against = [f"{one}; too long: {', '.join(long)}" for one in all_of_them if (long := _too_long(one, most))]
    shown = ", ".join(map(str, all_of_them)) or "nothing to recover"
    return Check(f"every partition goes on within {most.seconds:.0f} s", tuple(against), shown)


def _too_long(one: Recovery, most: Bound) -> list[str]:
    if one.seconds <= most.seconds and (one.starved or 0.0) > _STARVED:
        return []  # the machine was slow, and the sum held all the same
    parts = zip(fields(Parts), astuple(one.parts), astuple(most.parts), strict=True)
    long = [f"{field.name} (at most {limit:.0f} s)" for field, seconds, limit in parts if seconds > limit]
    return long or (["all of it together"] if one.seconds > most.seconds else [])


class Ready(NamedTuple):
    """What a worker's log says of its partitions at a time of day: they are assigned, or it goes on with them."""

    time: float
    what: str
    partitions: frozenset[int]


def read_log(text: str) -> list[Ready]:
    """Find what a worker's log says of its partitions."""
    return [
        Ready(
            datetime.strptime(line["time"], "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp(),
            line["what"],
            frozenset(map(int, line["numbers"].split(","))),
        )
        for line in _LINE.finditer(text)
    ]


def divide(since: float, log: Iterable[Ready], number: int, made: float, seen: float) -> Parts:
    """Divide the time from a moment until a partition's first record, made later, was seen; all are times of day.

    `log` is that of all workers; what it says of the partition before the moment took no time after it.
    """
    own = [one for one in log if number in one.partitions and since < one.time <= made]
    restored = max((one.time for one in own if one.what == _RESTORED), default=since)
    assigned = max((one.time for one in own if one.what == _ASSIGNED and one.time <= restored), default=since)
    return _parts(since, assigned, restored, made, seen)


def divide_unfinished(since: float, log: Iterable[Ready], number: int, now: float) -> Parts:
    """Divide the time of a partition of which nothing was seen up to now: the rest of it is of the part that lasts."""
    own = sorted(one for one in log if number in one.partitions and since < one.time)
    assigned = max((one.time for one in own if one.what == _ASSIGNED), default=now)
    restored = own[-1].time if own and own[-1].what == _RESTORED else now
    return _parts(since, min(assigned, restored), restored, now, now)


def slowest(since: float, log: Sequence[Ready], first: Sequence[tuple[float, float] | None], now: float) -> Parts:
    """Divide the time of the partition that was seen last; `first` is when each one's record was made and seen."""
    for number, found in enumerate(first):
        if found is None:
            return divide_unfinished(since, log, number, now)
    number, (made, seen) = max(
        ((number, found) for number, found in enumerate(first) if found), key=lambda one: one[1][1]
    )
    return divide(since, log, number, made, seen)


def _parts(*times: float) -> Parts:
    return Parts(*(later - earlier for earlier, later in pairwise(times)))
