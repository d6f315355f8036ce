"""The join once more, as a batch over whole topics: sort, group, cut. It shares no code with the product."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from tests.faults.outcome import Stored


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where a part ends, in milliseconds and records."""

    idle_gap: int
    max_age: int
    max_records: int


Part = tuple[str, str]
"""A trace and the name of its part."""


def join(spans: Iterable[Stored], logs: Iterable[Stored], good: set[Stored], cuts: Cuts) -> dict[Part, list[Stored]]:
    """Return the records of each part; `good` are the messages that are records, all others only tell the time."""
    timed: dict[int, list[tuple[int, int, int, Stored]]] = defaultdict(list)
    for kind, stored in enumerate((spans, logs)):
        latest: dict[int, int] = defaultdict(int)
        for message in sorted(stored, key=lambda one: (one.partition, one.offset)):
            latest[message.partition] = max(latest[message.partition], message.time)
            timed[message.partition].append((latest[message.partition], kind, message.offset, message))
    parts: dict[Part, list[Stored]] = {}
    for partition, messages in timed.items():
        traces: dict[str, list[tuple[int, str, Stored]]] = defaultdict(list)
        for time, kind, offset, message in sorted(messages, key=lambda one: one[:3]):
            if message in good:
                traces[(message.key or b"").decode()].append((time, f"{'sl'[kind]}{partition}-{offset}", message))
        for trace, records in traces.items():
            parts |= {(trace, name): part for name, part in _cut(records, cuts)}
    return parts


def _cut(records: list[tuple[int, str, Stored]], cuts: Cuts) -> Iterable[tuple[str, list[Stored]]]:
    part: list[Stored] = []
    name, first, last = "", 0, 0
    for time, origin, message in records:
        if part and (time > last + cuts.idle_gap or time > first + cuts.max_age or len(part) >= cuts.max_records):
            yield name, part
            part = []
        if not part:
            name, first = origin, time
        part.append(message)
        last = time
    if part:
        yield name, part
