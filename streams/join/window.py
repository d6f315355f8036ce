"""The window of one partition: records and a watermark in, closed parts of traces out.

A plain state machine, without I/O and without a clock. All times are stream time in milliseconds since the epoch.
Records come in order of (time, spans before logs, offset). Parts depend on that order alone, not on the steps of the
watermark: it only closes parts that the next record of their trace would close as well.
"""

import heapq
from binascii import unhexlify
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.model.splice import REASONS, splice
from tracelink.model.codec import TRACE_ID
from tracelink.model.records import Flag

SPANS, LOGS = 0, 1

Record = tuple[int, int, int, bytes, int, bytes]
"""A record: stream time, kind, offset, key, flags as encoded, and the framed message under the current schema."""

_IDLE, _AGE, _ROOT, _FULL, _PRESSURE = range(len(REASONS))
# Flags are read as Avro wrote them: zigzag doubles a number that is not negative.
_ENCODED_ROOT = Flag.ROOT << 1
_BUCKET_MS = 50
# The queues of first offsets are compacted only above this length.
_COMPACT_FROM = 1024


@dataclass(frozen=True, slots=True)
class WindowLimits:
    """The limits at which a part closes, in milliseconds, records and bytes; and the largest size of one message."""

    idle_gap: int
    max_age: int
    root_grace: int | None
    max_records: int
    max_bytes: int
    max_record_bytes: int


class Closed(NamedTuple):
    """A closed part; `last` has the offsets of its last span and log, -1 for none."""

    key: bytes
    message: bytes
    flags: int
    reason: str
    records: int
    last: tuple[int, int]


class _Part:
    """An open part: framed messages, times, and the offsets of the first and last of each kind (-1 for none).

    `end` is the latest time at which it may be open. `spans` and `logs` are None until their first message; from then
    on, the part is in the queue of first offsets of that kind.
    """

    __slots__ = (
        "end", "end_reason", "first", "first_log", "first_log_time", "first_span", "first_span_time", "flags", "key",
        "kind", "last", "last_log", "last_span", "logs", "open", "size", "spans",
    )  # fmt: skip

    def __init__(self, key: bytes, kind: int, first: int, end: int) -> None:
        self.key = key
        self.kind = kind
        self.first = self.last = self.first_span_time = self.first_log_time = first
        self.end = end
        self.end_reason = _AGE
        self.flags = self.size = 0
        self.spans: list[bytes] | None = None
        self.logs: list[bytes] | None = None
        self.first_span = self.first_log = self.last_span = self.last_log = -1
        self.open = True

    def count(self) -> int:
        """Return the number of its records."""
        return len(self.spans or ()) + len(self.logs or ())


class Window:
    """The open parts of one partition.

    Closed parts are kept until `take` returns them; `records` and `size` count the records and bytes of open parts.
    """

    def __init__(self, partition: int, limits: WindowLimits, named_by: Callable[[int, int], int] | None = None) -> None:
        """`named_by` maps a kind and an offset to the offset for a part's name; by default they are the same."""
        self._partition = partition
        self._named_by = named_by
        self._limits = limits
        # A message has at least the bytes up to the end of its trace id, so a smaller part cannot be full.
        self._maybe_full = min(limits.max_bytes, limits.max_records * TRACE_ID.stop)
        self._open: dict[bytes, _Part] = {}
        # Timer wheel: parts by earliest due bucket, and a heap of buckets. A part that is not due yet is rescheduled.
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

    def add(self, records: Sequence[Record]) -> None:
        """Take in records, in their order."""
        # This loop runs for every record: so names are local, and work that only a closing part needs is in `_close`.
        opened, idle_gap, maybe_full = self._open, self._limits.idle_gap, self._maybe_full
        root_grace = self._limits.root_grace
        get = opened.get
        added = 0
        for time, kind, offset, key, flags, message in records:
            part = get(key)
            if part is None or time > part.end or time > part.last + idle_gap:
                if part is not None:
                    self._close(part, self._reason(part))
                part = self._begin(key, kind, time)
            if kind == SPANS:
                if part.spans is None:
                    part.spans = []
                    part.first_span, part.first_span_time = offset, time
                    self._since[SPANS].append(part)
                part.spans.append(message)
                part.last_span = offset
            else:
                if part.logs is None:
                    part.logs = []
                    part.first_log, part.first_log_time = offset, time
                    self._since[LOGS].append(part)
                part.logs.append(message)
                part.last_log = offset
            part.last = time
            length = len(message)
            added += length
            part.size = size = part.size + length
            if flags:
                part.flags |= flags
                if flags & _ENCODED_ROOT and root_grace is not None and time + root_grace < part.end:
                    part.end, part.end_reason = time + root_grace, _ROOT
                    self._schedule(part, part.end)
            if size >= maybe_full and (size >= self._limits.max_bytes or part.count() >= self._limits.max_records):
                self._close(part, _FULL)
        self.records += len(records)
        self.size += added

    def advance(self, watermark: int) -> None:
        """Close the parts whose due time the watermark has passed, to within a bucket of 50 ms."""
        passed = watermark // _BUCKET_MS
        times, idle_gap = self._times, self._limits.idle_gap
        while times and times[0] < passed:
            for part in self._buckets.pop(heapq.heappop(times)):
                if not part.open:
                    continue
                due = min(part.last + idle_gap, part.end)
                if due < watermark:
                    self._close(part, self._reason(part))
                else:
                    self._schedule(part, due)

    def relieve(self) -> bool:
        """Close the oldest part to free memory; returns False if none is open."""
        oldest = [queue[0] for queue in map(self._trim, (SPANS, LOGS)) if queue]
        if not oldest:
            return False
        self._close(min(oldest, key=lambda part: part.first), _PRESSURE)
        return True

    def drop(self) -> int:
        """Drop all open parts; returns the number of their records."""
        records, self.records, self.size = self.records, 0, 0
        for part in self._open.values():
            part.open, part.spans, part.logs = False, None, None
        self._open.clear()
        return records

    def low(self, kind: int) -> tuple[int, int] | None:
        """Return the lowest offset of an input that an open part needs, and its time; None if no part needs one."""
        queue = self._trim(kind)
        if not queue:
            return None
        part = queue[0]
        return (part.first_span, part.first_span_time) if kind == SPANS else (part.first_log, part.first_log_time)

    def take(self) -> list[Closed]:
        """Return the parts that have closed since the last call."""
        closed, self._closed = self._closed, []
        return closed

    def _begin(self, key: bytes, kind: int, time: int) -> _Part:
        part = self._open[key] = _Part(key, kind, time, time + self._limits.max_age)
        self._schedule(part, min(time + self._limits.idle_gap, part.end))
        return part

    def _reason(self, part: _Part) -> int:
        """Return the reason for which a part closes."""
        return _IDLE if part.last + self._limits.idle_gap < part.end else part.end_reason

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
        if len(queue) > _COMPACT_FROM + 2 * len(self._open):  # a long-lived part is in front of closed ones
            alive = [part for part in queue if part.open]
            queue.clear()
            queue.extend(alive)
        return queue

    def _close(self, part: _Part, reason: int) -> None:
        del self._open[part.key]
        part.open = False
        spans, logs = part.spans or (), part.logs or ()
        input_, first = ("s", part.first_span) if part.kind == SPANS else ("l", part.first_log)
        if self._named_by is not None:
            first = self._named_by(part.kind, first)
        message = splice(
            flags=part.flags,
            trace_id=unhexlify(part.key),
            name=f"{input_}{self._partition}-{first}",
            opened=part.first,
            closed=part.last,
            reason=reason,
            spans=spans,
            logs=logs,
        )
        count = len(spans) + len(logs)
        self.records -= count
        self.size -= part.size
        self._closed.append(
            Closed(part.key, message, part.flags, REASONS[reason], count, (part.last_span, part.last_log))
        )
        # The queues may keep the part for longer, but not its bytes.
        part.spans = part.logs = None
