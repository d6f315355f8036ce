"""The join of one partition of a replay job: as of the live inputs, but in the records' own time and to an end."""

from collections.abc import Sequence
from typing import Any

from pipeline.model.replay_markers import complete_until, end_headers, is_end, origin_of
from streams.join.offset_map import OffsetMap
from streams.join.partition import InputQueue, JoinPartition, Target, TargetMessage
from streams.join.window import LOGS, SPANS, Window, WindowLimits

# A record has the broker's time, as it was in the live topic: it needs no clock to be held against.
_NO_TIME_OF_DAY = 1 << 62
# More than the window's buckets are wide.
_BUCKETS = 1000


class ReplayedPartition(JoinPartition):
    """The join of a job's spans[p] and logs[p], up to their end markers.

    `topics` name the live inputs. An input that has no more to read is not over before its marker has come: the copier
    may be at work. A part that is open at the time up to which nothing is missing is left to the live join, which has
    the rest of it. What went out of the partition is followed by an end marker of its own, and parts are named as the
    live ones were. Positions end at the inputs' markers: who takes the partition over finds them again, and in the
    journal that they were judged.
    """

    def __init__(self, number: int, *, limits: WindowLimits, **more: Any) -> None:  # noqa: ANN401 - the rest of Partition's own
        super().__init__(number, limits=limits, **more)
        self.window = Window(number, limits, self._live_offset)
        self._offset_map = (OffsetMap(), OffsetMap())
        self._after_all = limits.max_age + limits.idle_gap + _BUCKETS
        self._traces_partition = number
        self._marked = False

    @property
    def drained(self) -> bool:
        """Whether all that there ever will be has gone out, and is committed."""
        return self._marked and not self.pending.messages

    def receive(self, kind: int, messages: Sequence[Any], now: float, wall: int) -> None:  # noqa: ARG002 - as Partition has it
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
        """Tell whether an input goes on only once the copier has put more into the other."""
        source, other = self._inputs[kind], self._inputs[LOGS if kind == SPANS else SPANS]
        return bool(source.queue) and other.at_end

    def advance(self, now: float) -> None:
        """Take what is in order, and put an end marker behind the last part."""
        super().advance(now)
        for kind, low in enumerate(self.low()):
            self._offset_map[kind].forget(low)
        spans, logs = self._inputs[SPANS].marker, self._inputs[LOGS].marker
        if not (self._marked or spans is None or logs is None):  # else all is taken, and what is whole has closed
            self.left += self.window.drop()
            self._mark(spans, logs)

    def _mark(self, spans: int, logs: int) -> None:
        self._marked = True
        judged = self.ledger.judged
        if judged[SPANS] <= spans:  # else it has gone out before
            self.pending.messages.append(TargetMessage(Target.TRACES, None, None, end_headers(), self.number))
        for kind, marker in enumerate((spans, logs)):
            self._inputs[kind].position = marker
            judged[kind] = marker + 1

    def _complete(self, source: InputQueue, _now: float) -> int:
        """Return the stream time of an input, and at its end one at which every part has closed."""
        if source.marker is not None and any(one.time or one.queue for one in self._inputs):
            return max(one.time for one in self._inputs) + self._after_all
        return source.time

    def _live_offset(self, kind: int, offset: int) -> int:
        return self._offset_map[kind].live(offset)
