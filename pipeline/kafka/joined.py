"""The parts of traces that the join has put out of a stretch of time."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from confluent_kafka import Message

from pipeline.kafka.offsets import OffsetLookup
from pipeline.kafka.reader import Reader
from pipeline.model import splice
from pipeline.model.replay_markers import is_end
from pipeline.model.splice import Head
from pipeline.settings import WindowSettings, names_of
from tracelink.errors import InvalidRecord
from tracelink.kafka.topics import PartitionId, TopicNames

# Bytes that the join may take in at once, of both its inputs, and put out in another order than that of their times.
_MORE_THAN_HELD = 128 * 1024 * 1024
# By how much a worker's clock, which stamps the parts, may be behind the brokers', which is the parts' own time.
_SKEW_MS = 60_000


@dataclass(frozen=True, slots=True)
class JoinedPart:
    """A part as it lies in the topic of traces; `head` is None where it does not decode."""

    partition: PartitionId
    message: Message
    head: Head | None


class JoinedParts:
    """Reads the parts that have a record in a stretch of stream time, from `begin` to before `end`, in milliseconds.

    `total` and `done` count messages, for a progress bar. `available_since` is None where all parts are still there.
    Where retention has deleted older parts, it is the time of the oldest one left (the latest of all partitions), or
    `end`, where retention has deleted all parts of a partition although its inputs have records of that time.

    A part is put out after its last record came, so nothing of the stretch lies before what was put out at its begin.
    And parts of a partition come out as its watermark passes them: once there are some that were begun so long after
    the end that all others must have closed, and more of them than the join holds before it moves its watermark, the
    rest of the partition is left unread. That goes for what comes of one partition of the inputs: the partitions get on
    independently, so where a partition of the traces has parts of several ones, it is read to its end.
    """

    def __init__(self, settings: WindowSettings, lookup: OffsetLookup, begin: int, end: int) -> None:
        """Find where to read; `settings` are the join's: where its windows were longer, parts may be missed."""
        names = names_of(settings)
        partitions = lookup.partitions(names.traces)
        self._offset_ranges = lookup.since(partitions, begin - _SKEW_MS)
        begins = lookup.begins(partitions)
        self._cut = {one for one in partitions if 0 < begins[one] == self._offset_ranges[one].start}
        self._settings = settings
        self._begin, self._end = begin, end
        # Twice what is needed, for a worker that ran under other settings.
        self._beyond = Counter[PartitionId]()
        self._enough = end + round(2000 * (settings.max_age + settings.idle_gap))
        # Of one partition of the inputs each, as far as was seen.
        self._alone = set(partitions) if len(lookup.partitions(names.spans)) == len(partitions) else set()
        self.total = sum(offset_range.end - offset_range.start for offset_range in self._offset_ranges.values())
        self.done = 0
        emptied = any(0 < begins[one] == self._offset_ranges[one].end for one in partitions)
        self.available_since = end if emptied and _any_between(lookup, names, begin, end) else None

    def read(self) -> Iterator[list[JoinedPart]]:
        """Yield what comes of one read after the other, which may be nothing; raises UserError."""
        with Reader(self._settings, f"{self._settings.topic_prefix}joined", self._offset_ranges) as reader:
            while reader.unread:
                found: list[JoinedPart] = []
                for partition, messages in reader.poll():
                    self._note_oldest(partition, messages[0])
                    found += self._select(reader, partition, messages)
                self.done = sum(offset - self._offset_ranges[one].start for one, offset in reader.positions.items())
                yield found

    def _note_oldest(self, partition: PartitionId, message: Message) -> None:
        if partition in self._cut:
            self._cut.remove(partition)
            time = message.timestamp()[1]
            if time > self._begin:
                self.available_since = max(time, self.available_since or time)

    def _select(self, reader: Reader, partition: PartitionId, messages: list[Message]) -> Iterator[JoinedPart]:
        own = f"{partition[1]}-"
        for message in messages:
            try:
                head = splice.head(message.value() or b"")
            except InvalidRecord:
                if not is_end(message):
                    yield JoinedPart(partition, message, None)
                continue
            if not head.name.startswith(own, 1):
                self._alone.discard(partition)
            if head.opened < self._end and head.closed >= self._begin:
                yield JoinedPart(partition, message, head)
            elif head.opened > self._enough and partition in self._alone:
                self._beyond[partition] += len(message.value() or b"")
                if self._beyond[partition] > _MORE_THAN_HELD:
                    reader.finish(partition)
                    return


def _any_between(lookup: OffsetLookup, names: TopicNames, begin: int, end: int) -> bool:
    """Tell whether the inputs have records of these times."""
    inputs = [*lookup.partitions(names.spans), *lookup.partitions(names.logs)]
    first, last = lookup.at(inputs, begin), lookup.at(inputs, end)
    return any(first[one] < last[one] for one in inputs)
