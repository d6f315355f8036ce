"""The window of one partition: records and a watermark in, closed parts of traces out.

A plain state machine, without I/O and without a clock. All times are stream time in milliseconds since the epoch.
Records come in order of (time, spans before logs, offset); parts are a function of that order alone, however the
watermark moves between two records: what a watermark closes, the next record of that trace would have cut off.
"""

import heapq
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from tracelink.records import Flag
from tracelink.splice import REASONS, block, splice

SPANS, LOGS = 0, 1
KIND_LETTERS = "sl"

_IDLE, _AGE, _ROOT, _FULL, _PRESSURE = range(len(REASONS))
# Flags are read as Avro wrote them: zigzag doubles a number that is not negative.
_ENCODED_ROOT = Flag.ROOT << 1
_BUCKET_MS = 50
# Below this length the queues of first offsets are not worth compacting.
_COMPACT_FROM = 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """When a part closes: milliseconds, records, bytes; and the bytes that one message may have."""

    idle_gap: int
    max_age: int
    root_grace: int | None
    max_records: int
    max_bytes: int
    max_record_bytes: int


class Closed(NamedTuple):
    """A part that has closed; `last` has the offsets of its last span and log, -1 for none."""

    key: bytes
    message: bytes
    flags: int
    reason: str
    records: int
    last: tuple[int, int]


class _Part:
    """An open part. `due` is the time that the watermark has to pass, `end` the latest that `due` can be."""

    __slots__ = (
        "count", "due", "end", "end_reason", "first", "flags", "key", "last", "last_offset", "name", "open", "pieces",
        "since", "since_time", "size",
    )  # fmt: skip

    def __init__(self, key: bytes, name: str, first: int, max_age: int) -> None:
        self.key = key
        self.name = name
        self.first = self.last = first
        self.end = first + max_age
        self.end_reason = _AGE
        self.due = 0
        self.flags = 0
        self.count = self.size = 0
        self.pieces: tuple[list[bytes], list[bytes]] = ([], [])
        self.since = [-1, -1]
        self.since_time = [first, first]
        self.last_offset = [-1, -1]
        self.open = True


class Window:
    """The open parts of one partition.

    `closed` collects what has closed until `take` hands it over; `records` and `size` count what is open.
    """

    def __init__(self, partition: int, limits: Limits) -> None:
        self._partition = partition
        self._limits = limits
        self._open: dict[bytes, _Part] = {}
        # Parts by the time at which they may be due, and those times. A part that lived on is put off when its comes.
        self._buckets: dict[int, list[_Part]] = {}
        self._times: list[int] = []
        # Parts in the order of their first offset, for spans and for logs.
        self._since: tuple[deque[_Part], deque[_Part]] = (deque(), deque())
        self._closed: list[Closed] = []
        self.records = 0
        self.size = 0

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, key: object) -> bool:
        return key in self._open

    def add(self, kind: int, time: int, offset: int, key: bytes, flags: int, body: bytes) -> None:  # noqa: PLR0913, PLR0917 - called a record
        """Take a record; `flags` as encoded, `body` without its frame."""
        part = self._open.get(key)
        if part is not None and time > part.due:
            self._close(part, part.end_reason if part.due == part.end else _IDLE)
            part = None
        limits = self._limits
        if part is None:
            part = _Part(key, f"{KIND_LETTERS[kind]}{self._partition}-{offset}", time, limits.max_age)
            self._open[key] = part
            self._schedule(part, min(time + limits.idle_gap, part.end))
        opening = block(len(body))
        size = len(opening) + len(body)
        pieces = part.pieces[kind]
        pieces.append(opening)
        pieces.append(body)
        part.flags |= flags
        part.last = time
        part.count += 1
        part.size += size
        self.records += 1
        self.size += size
        if part.since[kind] < 0:
            part.since[kind] = offset
            part.since_time[kind] = time
            self._since[kind].append(part)
        part.last_offset[kind] = offset
        if flags & _ENCODED_ROOT and limits.root_grace is not None and time + limits.root_grace < part.end:
            part.end, part.end_reason = time + limits.root_grace, _ROOT
            self._schedule(part, part.end)
        part.due = min(time + limits.idle_gap, part.end)
        if part.count >= limits.max_records or part.size >= limits.max_bytes:
            self._close(part, _FULL)

    def advance(self, watermark: int) -> None:
        """Close the parts whose due time the watermark has passed, to within a bucket of 50 ms."""
        passed = watermark // _BUCKET_MS
        times = self._times
        while times and times[0] < passed:
            for part in self._buckets.pop(heapq.heappop(times)):
                if not part.open:
                    continue
                if part.due < watermark:
                    self._close(part, part.end_reason if part.due == part.end else _IDLE)
                else:
                    self._schedule(part, part.due)

    def relieve(self) -> bool:
        """Close the oldest part, because memory is short; False where none is open."""
        oldest = [queue[0] for queue in map(self._trim, (SPANS, LOGS)) if queue]
        if not oldest:
            return False
        self._close(min(oldest, key=lambda part: part.first), _PRESSURE)
        return True

    def low(self, kind: int) -> tuple[int, int] | None:
        """Return the lowest offset of an input that an open part still needs, and its time; None where none does."""
        queue = self._trim(kind)
        return (queue[0].since[kind], queue[0].since_time[kind]) if queue else None

    def take(self) -> list[Closed]:
        """Hand over the parts that have closed since the last call."""
        closed, self._closed = self._closed, []
        return closed

    def _schedule(self, part: _Part, due: int) -> None:
        time = due // _BUCKET_MS
        bucket = self._buckets.get(time)
        if bucket is None:
            self._buckets[time] = [part]
            heapq.heappush(self._times, time)
        else:
            bucket.append(part)

    def _trim(self, kind: int) -> deque[_Part]:
        queue = self._since[kind]
        while queue and not queue[0].open:
            queue.popleft()
        if len(queue) > _COMPACT_FROM + 2 * len(
            self._open
        ):  # a long-lived part in front held the closed ones behind it
            alive = [part for part in queue if part.open]
            queue.clear()
            queue.extend(alive)
        return queue

    def _close(self, part: _Part, reason: int) -> None:
        del self._open[part.key]
        part.open = False
        spans, logs = part.pieces
        message = splice(
            flags=part.flags,
            trace_id=bytes.fromhex(part.key.decode()),
            name=part.name,
            opened=part.first,
            closed=part.last,
            reason=reason,
            spans=spans,
            logs=logs,
        )
        # The queues may hold the part for a while longer: not its bytes.
        part.pieces = ([], [])
        self.records -= part.count
        self.size -= part.size
        last = (part.last_offset[SPANS], part.last_offset[LOGS])
        self._closed.append(Closed(part.key, message, part.flags, REASONS[reason], part.count, last))
