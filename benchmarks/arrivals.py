"""Arrivals of records, and the parts that the join makes of them.

Pure: the product's own join of one partition takes the arrivals as messages, at their times.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from pipeline.model.splice import Head, head
from streams.join.journal import Ledger
from streams.join.partition import JoinPartition, Target
from streams.join.window import LOGS, SPANS, WindowLimits
from tracelink.model.codec import LOG_RECORD, SPAN
from tracelink.model.records import Flag, LogRecord, Span

_STEP = 200  # milliseconds between the join's transactions, its default
_ALLOWANCE = 1000  # its default
_LATE_FOR = 600_000
_LOG_APPEND_TIME = 2


class Arrival(NamedTuple):
    """A record as it reached Kafka: trace, kind, its time in milliseconds, and if it is a root span."""

    trace: int
    kind: int
    at: int
    is_root: bool = False


class Part(NamedTuple):
    """A written part: its times of first and last arrival and of its transaction, and if it has the root span."""

    opened: int
    last: int
    written: int
    has_root: bool


class _Message:
    """An arrival as the message of an input."""

    def __init__(self, arrival: Arrival, offset: int) -> None:
        self._arrival = arrival
        self._offset = offset

    def key(self) -> bytes:
        return _trace_id(self._arrival.trace).hex().encode()

    def value(self) -> bytes:
        return _span(self._arrival) if self._arrival.kind == SPANS else _log(self._arrival)

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return _LOG_APPEND_TIME, self._arrival.at

    def headers(self) -> None:
        return None


def join(arrivals: Sequence[Arrival], limits: WindowLimits) -> Mapping[int, list[Part]]:
    """Return the parts of each trace, in their order; the join takes all arrivals and is then left without any."""
    partition = JoinPartition(
        0,
        topics=("spans", "logs"),
        limits=limits,
        ledger=Ledger(_LATE_FOR),
        positions=(0, 0),
        allowance=_ALLOWANCE,
    )
    steps = groupby(sorted(arrivals, key=lambda one: one.at), key=lambda one: one.at // _STEP)
    waiting = {number: list(found) for number, found in steps}
    end = max(waiting) + (limits.max_age + limits.idle_gap) // _STEP
    offsets = [0, 0]
    found: dict[int, list[Part]] = defaultdict(list)
    for number in range(min(waiting), end):
        now = (number + 1) * _STEP
        mine = waiting.get(number, [])
        for kind in (SPANS, LOGS):
            if messages := [_Message(one, offsets[kind] + place) for place, one in enumerate(_of(kind, mine))]:
                partition.receive(kind, messages, now, now)
                offsets[kind] += len(messages)
            partition.reach_end(kind)
        partition.advance(now)
        entries = partition.entries()
        for message in partition.committed(range(len(entries)), entries).messages:
            if message.target is Target.TRACES and message.key is not None:
                found[int(message.key, 16)].append(_part(head(message.value or b""), now))
    return found


def held(arrivals: Sequence[Arrival], parts: Sequence[Part]) -> float:
    """Return the seconds for which the join holds the records of one trace open, added up."""
    return sum(next(part.written for part in parts if one.at <= part.last) - one.at for one in arrivals) / 1000


def _part(found: Head, written: int) -> Part:
    return Part(found.opened, found.closed, written, bool(found.flags & Flag.ROOT))


def _of(kind: int, arrivals: Sequence[Arrival]) -> list[Arrival]:
    return [one for one in arrivals if one.kind == kind]


def _trace_id(trace: int) -> bytes:
    return trace.to_bytes(16)


def _span(arrival: Arrival) -> bytes:
    flags = Flag.ROOT if arrival.is_root else 0
    span: Span = {"flags": flags, "traceId": _trace_id(arrival.trace), "id": "1".zfill(16), "timestamp": 1}
    return SPAN.encode(span)


def _log(arrival: Arrival) -> bytes:
    line: LogRecord = {
        "flags": 0, "traceId": _trace_id(arrival.trace), "id": "line", "timestamp": 1, "message": "a line"
    }  # fmt: skip
    return LOG_RECORD.encode(line)
