"""The join of one co-partitioned pair of inputs: messages and the time in, parts of traces and dead letters out.

Pure: no I/O, and time is an argument. It aligns the two inputs in stream time, checks each message, and feeds the
window in a fixed order, so that the parts are the same at any reading speed.
"""

from binascii import unhexlify
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import accumulate
from operator import itemgetter
from typing import NamedTuple

from pipeline.model.dead_letters import CUT_FROM, Headers, Origin, headers, redriven
from streams.join.intake import InputMessage, InvalidMessage, judge
from streams.join.journal import Entry, Ledger
from streams.join.window import LOGS, SPANS, Record, Window, WindowLimits
from tracelink.errors import Reason
from tracelink.model.records import Flag

_CREATE_TIME = 1
_MESSAGE_BYTES = 256  # memory of a queued message, besides its value
_CLOCK_STEP = 250  # milliseconds: the clock of an input at its end advances by no more than this in one call
_PARTS_IN_ENTRY = 20_000  # 660 kB
_CUT_BYTES = 64 * 1024
_ERROR = Flag.ERROR << 1
_NEVER = 1 << 62
_time, _offset, _message = itemgetter(0), itemgetter(2), itemgetter(5)


class Target(Enum):
    """The topic of an output message."""

    TRACES = "traces"
    ERROR_TRACES = "error-traces"
    DEAD_LETTERS = "dead-letters"


class TargetMessage(NamedTuple):
    """An output message."""

    target: Target
    key: bytes | None
    value: bytes | None
    headers: Headers | None = None
    partition: int = -1
    """The partition in its topic; -1 for that of its key."""


@dataclass(slots=True)
class Output:
    """The output of a partition in one transaction, with its counts for the metrics.

    `sent` has the parts for the journal, as in `Entry.parts`; `records` counts the records in parts, `size` the bytes
    of all messages, `parts` the parts by closing reason.
    """

    messages: list[TargetMessage] = field(default_factory=list)
    sent: list[tuple[bytes, int, int, bool]] = field(default_factory=list)
    records: int = 0
    size: int = 0
    errored: int = 0
    parts: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[Reason] = field(default_factory=Counter)


@dataclass(slots=True)
class InputQueue:
    """One input: its queued records, its stream time (`time`), and the monotonic time of its last message (`heard`).

    `invalid` has the invalid messages in the queue, by offset; `marker` is the offset of the end marker, after which
    no message comes.
    """

    queue: list[Record] = field(default_factory=list)
    invalid: dict[int, InvalidMessage] = field(default_factory=dict)
    size: int = 0
    time: int = 0
    heard: float | None = None
    at_end: bool = False
    marker: int | None = None
    end: int = 0
    position: int = 0
    taken: int = 0


class JoinPartition:
    """The join of spans[p] and logs[p].

    `positions` are the offsets from which the two inputs are read, `times` their stream times there; `topics` names
    them, for dead letters. `skipped` counts records that were skipped because a committed part has them, `left` those
    that a replay leaves to the live join.
    """

    def __init__(
        self,
        number: int,
        *,
        topics: tuple[str, str],
        limits: WindowLimits,
        ledger: Ledger,
        positions: tuple[int, int],
        times: tuple[int, int] = (0, 0),
        allowance: int,
    ) -> None:
        self.number = number
        self.window = Window(number, limits)
        self.ledger = ledger
        self.watermark = 0
        self.pending = Output()
        self.skipped = 0
        self.left = 0
        self._topics = topics
        self._allowance = allowance
        self._max_record_bytes = limits.max_record_bytes
        self._inputs = (
            InputQueue(position=positions[SPANS], time=times[SPANS]),
            InputQueue(position=positions[LOGS], time=times[LOGS]),
        )
        self._restoring = True
        self._traces_partition = -1
        self._latest = _NEVER
        self._clock: float | None = None
        self._largest_letter = limits.max_bytes

    @property
    def drained(self) -> bool:
        """True if no output will ever follow; always False for live inputs, which have no end."""
        return False

    # Reading

    def receive(self, kind: int, messages: Sequence[InputMessage], now: float, wall: int) -> None:
        """Queue messages of an input, in their order.

        `now` is monotonic time and `wall` the time of day, in milliseconds. A timestamp that a client set (CreateTime)
        is limited to `wall`, so that one in the future cannot advance the windows.
        """
        source = self._inputs[kind]
        clocks = [message.timestamp() for message in messages]
        stamps = [stamp for _, stamp in clocks]
        if max(stamps) > wall:
            stamps = [min(stamp, wall) if clock == _CREATE_TIME else stamp for clock, stamp in clocks]
        if stamps[0] < source.time or sorted(stamps) != stamps:
            stamps[0] = max(stamps[0], source.time)
            stamps = list(accumulate(stamps, max))  # brokers' clocks can step back, stream time cannot
        records, invalid = judge(kind, messages, stamps, self._max_record_bytes)
        source.queue += records
        source.invalid |= invalid
        source.size += _size(records)
        source.time = stamps[-1]
        source.heard = now
        source.at_end = False

    def reach_end(self, kind: int, offset: int = 0) -> None:
        """Note that a fetch has reached the end of an input, at this offset, which may be after transaction markers."""
        self._inputs[kind].at_end = True
        self._inputs[kind].end = offset

    def resume(self) -> None:
        """Note that a new assignment fetches the inputs: ends that were seen before no longer count."""
        for source in self._inputs:
            source.at_end = False

    def queued(self, kind: int) -> int:
        """Return the bytes of an input that are queued until the other catches up."""
        return self._inputs[kind].size

    def next_offset(self, kind: int) -> int:
        """Return the offset from which to fetch an input."""
        source = self._inputs[kind]
        return source.queue[-1][2] + 1 if source.queue else source.position

    def taken_until(self, kind: int) -> int:
        """Return the offset below which all records of an input are joined."""
        source = self._inputs[kind]
        return source.position if source.queue else max(source.position, source.end)

    def waits(self, _kind: int) -> bool:
        """Return True if an input cannot continue until another process acts."""
        return False

    def count_taken(self, kind: int) -> int:
        """Return the number of records taken from an input since the last call."""
        source = self._inputs[kind]
        taken, source.taken = source.taken, 0
        return taken

    # Joining

    def advance(self, now: float) -> None:
        """Feed the window the records whose order is known, move the watermark, and add closed parts to `pending`."""
        # After a long stall, a worker must read new records before time passes, so its clock catches up in steps.
        now = self._clock = now if self._clock is None else min(now, self._clock + _CLOCK_STEP)
        spans, logs = self._inputs
        spans_until, logs_until = self._complete(spans, now), self._complete(logs, now)
        # The order is known up to the time to which both inputs are complete. At equal times, spans come before logs.
        taken = self._take(spans, bisect_right, logs_until)
        more = self._take(logs, bisect_left, spans_until)
        if taken and more:
            taken += more
            taken.sort(key=_time)
        self._feed(taken or more)
        watermark = min(
            spans.queue[0][0] if spans.queue else spans_until,
            logs.queue[0][0] if logs.queue else logs_until,
            self._latest,
        )
        if watermark > self.watermark:
            self.watermark = watermark
            self.window.advance(watermark)
        self.collect()
        # Only now: the watermark may have jumped, and the closed parts need what was remembered at their own time.
        self.ledger.expire(self.watermark, self.window)

    def collect(self) -> None:
        """Move the window's closed parts to `pending`."""
        pending, ledger = self.pending, self.ledger
        for part in self.window.take():
            pending.messages.append(TargetMessage(Target.TRACES, part.key, part.message, None, self._traces_partition))
            erred = ledger.errored(part.key)
            if part.flags & _ERROR and not erred:
                erred = True
                pending.errored += 1
                pending.messages.append(TargetMessage(Target.ERROR_TRACES, part.key, part.message))
            if erred:
                ledger.remember(part.key, self.watermark)
            pending.sent.append((unhexlify(part.key), *part.last, erred))
            pending.parts[part.reason] += 1
            pending.records += part.records
            pending.size += len(part.message)

    def _complete(self, source: InputQueue, now: float) -> int:
        """Return the stream time up to which an input is complete.

        At its end, that is the estimated current broker time, less the allowance for records on their way. The
        estimate is the stream time of either input plus the time since its last message. An input without a record
        and without a seen end holds the other back.
        """
        clocks = [one.time + (now - one.heard) for one in self._inputs if one.heard is not None]
        if not source.at_end or not clocks:
            return source.time
        return max(source.time, int(max(clocks)) - self._allowance)

    @staticmethod
    def _take(source: InputQueue, bisect: Callable[..., int], until: int) -> list[Record]:
        """Take the records of an input up to a time: `bisect_right` includes those at that time, `bisect_left` not."""
        queue = source.queue
        end = bisect(queue, until, key=_time)
        taken = queue[:end]
        if taken:
            del queue[:end]
            source.size = source.size - _size(taken) if queue else 0
            source.position = _offset(taken[-1]) + 1
            source.taken += len(taken)
        return taken

    def _feed(self, records: list[Record]) -> None:
        """Put records into the window, except those in committed parts; dead-letter the invalid ones."""
        spans, logs = self._inputs
        if not (self._restoring or spans.invalid or logs.invalid):
            self.window.add(records)
            return
        for record in records:
            _, kind, offset, key, _, _ = record
            source = self._inputs[kind]
            invalid = source.invalid.pop(offset, None)
            if self.ledger.has_sent(kind, offset, key):
                source.taken -= 1
                self.skipped += 1
            elif invalid is None:
                self.window.add([record])
            else:
                self._dead_letter(kind, invalid)
        if self._restoring:
            self._restoring = any(self.ledger.restoring(kind, one.position) for kind, one in enumerate(self._inputs))
            if not self._restoring:
                self.ledger.forget_sent()

    def _dead_letter(self, kind: int, invalid: InvalidMessage) -> None:
        message, error = invalid
        if message.offset() < self.ledger.judged[kind]:  # read again: it is already dead-lettered
            self._inputs[kind].taken -= 1
            self.skipped += 1
            return
        origin = Origin(
            self._topics[kind], self.number, self._live_offset(kind, message.offset()), message.timestamp()[1]
        )
        value = message.value()
        found = [*headers(error, origin), *redriven(message.headers())]
        if value is not None and len(value) > self._largest_letter:
            # The producer may have compressed it better than we can. The topic might refuse it, and every transaction
            # would then fail.
            found.append((CUT_FROM, str(len(value)).encode()))
            value = value[:_CUT_BYTES]
        self.pending.messages.append(TargetMessage(Target.DEAD_LETTERS, message.key(), value, found))
        self.pending.dead_letters[error.reason] += 1
        self.pending.size += len(value or b"")

    def _live_offset(self, _kind: int, offset: int) -> int:
        """Return the offset that a message has in the live topic."""
        return offset

    # Committing

    def low(self) -> tuple[int, int]:
        """Return the lowest offsets of spans and logs that are still needed: a transaction commits them."""
        spans, logs = (self.window.low(kind) for kind in (SPANS, LOGS))
        return (
            self._inputs[SPANS].position if spans is None else spans[0],
            self._inputs[LOGS].position if logs is None else logs[0],
        )

    def times(self) -> tuple[int, int]:
        """Return the stream times at the offsets of `low`: the next owner must not start with earlier ones."""
        return self._time_at_low(SPANS), self._time_at_low(LOGS)

    def _time_at_low(self, kind: int) -> int:
        low, source = self.window.low(kind), self._inputs[kind]
        if low is not None:
            return low[1]
        return source.queue[0][0] if source.queue else source.time

    def entries(self) -> list[Entry]:
        """Return the journal records of the pending parts: one record, or several for very many parts."""
        judged, sent = self.ledger.judged, self.pending.sent
        positions = tuple(max(judged[kind], self._inputs[kind].position) for kind in (SPANS, LOGS))
        return [
            Entry((positions[SPANS], positions[LOGS]), self.watermark, tuple(sent[first : first + _PARTS_IN_ENTRY]))
            for first in range(0, len(sent) or 1, _PARTS_IN_ENTRY)
        ]

    def committed(self, offsets: Sequence[int], entries: Sequence[Entry]) -> Output:
        """Note that the transaction with these journal records was committed; returns its output."""
        for offset, entry in zip(offsets, entries, strict=True):
            self.ledger.wrote(offset, entry)
        done, self.pending = self.pending, Output()
        return done


def _size(records: Sequence[Record]) -> int:
    """Return the memory of queued records, in bytes."""
    return sum(map(len, map(_message, records))) + _MESSAGE_BYTES * len(records)
