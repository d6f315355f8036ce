"""The join of one partition of a replay job: like the live join, but without a clock, and up to end markers."""

from collections.abc import Sequence
from typing import Any

from pipeline.model.replay_markers import complete_until, end_headers, is_end, origin_of
from streams.join.offset_map import OffsetMap
from streams.join.partition import InputQueue, JoinPartition, Target, TargetMessage
from streams.join.window import LOGS, SPANS, Window, WindowLimits

# Copied records keep their broker time, so no clock has to limit it.
_NO_TIME_OF_DAY = 1 << 62
# Milliseconds: more than the width of the window's buckets.
_BUCKETS = 1000


class ReplayedPartition(JoinPartition):
    """The join of a job's spans[p] and logs[p], up to their end markers.

    `topics` names the live inputs. Only its marker ends an input: until then, the copier may write more. The copied
    range is complete up to a time in the marker. The replay drops the parts that are still open then: the live join
    has the rest of them. Parts get the names of the live ones. An end marker follows the last part. Positions stop at
    the inputs' markers, so the next owner of the partition reads the markers again, and learns from the journal that
    they have been processed.
    """

    def __init__(self, number: int, *, limits: WindowLimits, **more: Any) -> None:  # noqa: ANN401 - those of the base class
        super().__init__(number, limits=limits, **more)
        self.window = Window(number, limits, self._live_offset)
        self._offset_map = (OffsetMap(), OffsetMap())
        self._after_all = limits.max_age + limits.idle_gap + _BUCKETS
        self._traces_partition = number
        self._marked = False

    @property
    def drained(self) -> bool:
        """True if the whole output, including the end marker, is committed."""
        return self._marked and not self.pending.messages

    def receive(self, kind: int, messages: Sequence[Any], now: float, wall: int) -> None:  # noqa: ARG002 - the base class has it
        """Queue messages of an input up to its end marker."""
        source = self._inputs[kind]
        if source.marker is not None:
            return
        count = len(messages)
        while count and is_end(messages[count - 1]):
            count -= 1
        if count:
            for message in messages[:count]:
                self._offset_map[kind].note(message.offset(), origin_of(message))
            super().receive(kind, messages[:count], now, _NO_TIME_OF_DAY)
        if count < len(messages):
            source.marker = messages[count].offset()
            self._latest = min(self._latest, complete_until(messages[count]))

    def waits(self, kind: int) -> bool:
        """Return True if an input waits until the copier writes more to the other."""
        source, other = self._inputs[kind], self._inputs[LOGS if kind == SPANS else SPANS]
        return bool(source.queue) and other.at_end

    def advance(self, now: float) -> None:
        """Do as the base class does; at the end of both inputs, also add an end marker behind the last part."""
        super().advance(now)
        for kind, low in enumerate(self.low()):
            self._offset_map[kind].forget(low)
        spans, logs = self._inputs[SPANS].marker, self._inputs[LOGS].marker
        if not (self._marked or spans is None or logs is None):  # all complete parts have closed
            self.left += self.window.drop()
            self._mark(spans, logs)

    def _mark(self, spans: int, logs: int) -> None:
        self._marked = True
        judged = self.ledger.judged
        if judged[SPANS] <= spans:  # else the end marker is already committed
            self.pending.messages.append(TargetMessage(Target.TRACES, None, None, end_headers(), self.number))
        for kind, marker in enumerate((spans, logs)):
            self._inputs[kind].position = marker
            judged[kind] = marker + 1

    def _complete(self, source: InputQueue, _now: float) -> int:
        """Return the stream time of an input; at its marker, a time at which every part has closed."""
        if source.marker is not None and any(one.time or one.queue for one in self._inputs):
            return max(one.time for one in self._inputs) + self._after_all
        return source.time

    def _live_offset(self, kind: int, offset: int) -> int:
        return self._offset_map[kind].live(offset)
