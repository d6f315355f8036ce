"""The join of one co-partitioned pair of inputs: messages and the time in, parts of traces and dead letters out.

Pure: no I/O, and time is an argument. It aligns the two inputs in stream time, judges each message, and feeds the
window in the one order that makes the parts the same at any reading speed.
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
_MESSAGE_BYTES = 256  # of a queued message, beside its value
_CLOCK_STEP = 250  # the most that the clock of an ended input goes on in a call, in milliseconds
_PARTS_IN_ENTRY = 20_000  # 660 kB
_CUT_BYTES = 64 * 1024
_ERROR = Flag.ERROR << 1
_NEVER = 1 << 62
_time, _offset, _message = itemgetter(0), itemgetter(2), itemgetter(5)


class Target(Enum):
    """Which topic a message goes out to."""

    TRACES = "traces"
    ERROR_TRACES = "error-traces"
    DEAD_LETTERS = "dead-letters"


class TargetMessage(NamedTuple):
    """A message that goes out."""

    target: Target
    key: bytes | None
    value: bytes | None
    headers: Headers | None = None
    partition: int = -1
    """Where in its topic; -1 where that is its key's."""


@dataclass(slots=True)
class Output:
    """What goes out of a partition in one transaction, and what it counts: records in parts, bytes, closing reasons."""

    messages: list[TargetMessage] = field(default_factory=list)
    sent: list[tuple[bytes, int, int, bool]] = field(default_factory=list)
    records: int = 0
    size: int = 0
    errored: int = 0
    parts: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[Reason] = field(default_factory=Counter)


@dataclass(slots=True)
class InputQueue:
    """One input: what waits of it, its stream time, and the monotonic time of its last message.

    `invalid` has the messages in the queue that are no records, by their offsets; `marker` is the offset of the end
    marker, behind which nothing ever comes.
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

    `positions` are the offsets from which the two inputs are read, `times` the stream times that they have there;
    `topics` names them, for dead letters. `skipped` and `left` count records taken in that were passed over, or left to
    others.
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
        """Whether nothing will ever come out any more: what is live has no end."""
        return False

    # Reading

    def receive(self, kind: int, messages: Sequence[InputMessage], now: float, wall: int) -> None:
        """Queue messages of an input in their order.

        `now` is monotonic time and `wall` the time of day, in milliseconds. A time that a client wrote, and that is
        still to come, counts as now: it must not push the windows.
        """
        source = self._inputs[kind]
        clocks = [message.timestamp() for message in messages]
        stamps = [stamp for _, stamp in clocks]
        if max(stamps) > wall:
            stamps = [min(stamp, wall) if clock == _CREATE_TIME else stamp for clock, stamp in clocks]
        if stamps[0] < source.time or sorted(stamps) != stamps:
            stamps[0] = max(stamps[0], source.time)
            stamps = list(accumulate(stamps, max))  # brokers' clocks do step back: stream time never does
        records, invalid = judge(kind, messages, stamps, self._max_record_bytes)
        source.queue += records
        source.invalid |= invalid
        source.size += _size(records)
        source.time = stamps[-1]
        source.heard = now
        source.at_end = False

    def reach_end(self, kind: int, offset: int = 0) -> None:
        """Note that a fetch has found the end of an input at this offset, which may be beyond markers."""
        self._inputs[kind].at_end = True
        self._inputs[kind].end = offset

    def resume(self) -> None:
        """Note that the inputs are fetched anew: what a fetch before has shown of their ends no longer counts."""
        for source in self._inputs:
            source.at_end = False

    def queued(self, kind: int) -> int:
        """Return the bytes of an input that wait for the other."""
        return self._inputs[kind].size

    def next_offset(self, kind: int) -> int:
        """Return the offset from which an input is to be fetched on."""
        source = self._inputs[kind]
        return source.queue[-1][2] + 1 if source.queue else source.position

    def taken_until(self, kind: int) -> int:
        """Return the offset of an input below which nothing is left to take."""
        source = self._inputs[kind]
        return source.position if source.queue else max(source.position, source.end)

    def waits(self, _kind: int) -> bool:
        """Tell whether an input cannot go on before somebody else has done something."""
        return False

    def count_taken(self, kind: int) -> int:
        """Return how many records an input has given since the last call."""
        source = self._inputs[kind]
        taken, source.taken = source.taken, 0
        return taken

    # Joining

    def advance(self, now: float) -> None:
        """Take what is in order by now, move the watermark, and collect what has closed in `pending`."""
        # A worker that was held up for long must first see what has come meanwhile: its clock catches up in steps.
        now = self._clock = now if self._clock is None else min(now, self._clock + _CLOCK_STEP)
        spans, logs = self._inputs
        spans_until, logs_until = self._complete(spans, now), self._complete(logs, now)
        # Where both inputs are known up to a time, their order is: spans before logs at equal times.
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
        # Not before: the watermark may have leapt, and what has closed goes by what was known at its own time.
        self.ledger.expire(self.watermark, self.window)

    def collect(self) -> None:
        """Move what the window has closed to `pending`."""
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
        """Return the stream time below which an input has no record left to come.

        At its end that is the broker's time by now, as far as either input lets us know it, less the allowance for
        records on their way. An input that has shown neither a record nor its end holds the other back.
        """
        clocks = [one.time + (now - one.heard) for one in self._inputs if one.heard is not None]
        if not source.at_end or not clocks:
            return source.time
        return max(source.time, int(max(clocks)) - self._allowance)

    @staticmethod
    def _take(source: InputQueue, bisect: Callable[..., int], until: int) -> list[Record]:
        """Take what an input has up to a time; `bisect` says whether what has that very time comes along."""
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
        """Put records into the window, except those that went out before an assignment, or that are none."""
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
        if message.offset() < self.ledger.judged[kind]:  # read again: it has gone out before
            self._inputs[kind].taken -= 1
            self.skipped += 1
            return
        origin = Origin(
            self._topics[kind], self.number, self._live_offset(kind, message.offset()), message.timestamp()[1]
        )
        value = message.value()
        found = [*headers(error, origin), *redriven(message.headers())]
        if value is not None and len(value) > self._largest_letter:
            # Compressed by somebody better than we do: the topic might refuse it, and with it every transaction.
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
        """Return the lowest offsets of spans and logs that are still needed: what a transaction commits."""
        spans, logs = (self.window.low(kind) for kind in (SPANS, LOGS))
        return (
            self._inputs[SPANS].position if spans is None else spans[0],
            self._inputs[LOGS].position if logs is None else logs[0],
        )

    def times(self) -> tuple[int, int]:
        """Return the stream times of spans and logs at those offsets: who reads on from there must not fall behind."""
        return self._time_at_low(SPANS), self._time_at_low(LOGS)

    def _time_at_low(self, kind: int) -> int:
        low, source = self.window.low(kind), self._inputs[kind]
        if low is not None:
            return low[1]
        return source.queue[0][0] if source.queue else source.time

    def entries(self) -> list[Entry]:
        """Return the journal's records of what is pending: one, or more where there are very many parts."""
        judged, sent = self.ledger.judged, self.pending.sent
        positions = tuple(max(judged[kind], self._inputs[kind].position) for kind in (SPANS, LOGS))
        return [
            Entry((positions[SPANS], positions[LOGS]), self.watermark, tuple(sent[first : first + _PARTS_IN_ENTRY]))
            for first in range(0, len(sent) or 1, _PARTS_IN_ENTRY)
        ]

    def committed(self, offsets: Sequence[int], entries: Sequence[Entry]) -> Output:
        """Note that the transaction with these journal records has committed; returns what went out in it."""
        for offset, entry in zip(offsets, entries, strict=True):
            self.ledger.wrote(offset, entry)
        done, self.pending = self.pending, Output()
        return done


def _size(records: Sequence[Record]) -> int:
    """Return the bytes that records take while they wait."""
    return sum(map(len, map(_message, records))) + _MESSAGE_BYTES * len(records)
