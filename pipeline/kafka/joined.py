"""The parts that the join has written for a time range."""

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

# The join may read this many bytes of both inputs at once, and write their parts in an order other than by time.
_MORE_THAN_HELD = 128 * 1024 * 1024
# A worker's clock, which stamps the messages, may be this much behind the brokers' clock, which gives stream time.
_SKEW_MS = 60_000


@dataclass(frozen=True, slots=True)
class JoinedPart:
    """A message of `traces`; `head` is None if it does not decode."""

    partition: PartitionId
    message: Message
    head: Head | None


class JoinedParts:
    """Reads the parts that have a record in a range of stream time, from `begin` up to before `end`, in milliseconds.

    `total` and `done` count messages, for a progress bar. `available_since` is None if all parts are still available.
    If retention has deleted parts, it is the time of the oldest remaining one (the latest of all partitions); or `end`,
    if retention has deleted all parts of a partition although its inputs have records of the range.

    A part is written after its last record arrived, so no part of the range comes before the messages of `begin`.
    Parts are written as the watermark of their partition passes them. So the rest of a partition is skipped after
    parts that opened so long after `end` that all parts of the range must have closed, and that have more bytes than
    the join reads before it advances its watermark. Input partitions advance independently: a partition of `traces`
    that has parts of several input partitions is read to its end.
    """

    def __init__(self, settings: WindowSettings, lookup: OffsetLookup, begin: int, end: int) -> None:
        """Look up the offsets to read; `settings` are the join's: if its windows were longer, parts may be missed."""
        names = names_of(settings)
        partitions = lookup.partitions(names.traces)
        self._offset_ranges = lookup.since(partitions, begin - _SKEW_MS)
        begins = lookup.begins(partitions)
        self._cut = {one for one in partitions if 0 < begins[one] == self._offset_ranges[one].start}
        self._settings = settings
        self._begin, self._end = begin, end
        # Twice the necessary time, for workers that ran with other settings.
        self._beyond = Counter[PartitionId]()
        self._enough = end + round(2000 * (settings.max_age + settings.idle_gap))
        # The partitions that, so far, had parts of only one input partition.
        self._alone = set(partitions) if len(lookup.partitions(names.spans)) == len(partitions) else set()
        self.total = sum(offset_range.end - offset_range.start for offset_range in self._offset_ranges.values())
        self.done = 0
        emptied = any(0 < begins[one] == self._offset_ranges[one].end for one in partitions)
        self.available_since = end if emptied and _any_between(lookup, names, begin, end) else None

    def read(self) -> Iterator[list[JoinedPart]]:
        """Yield the parts of one poll after the other; a list may be empty. Raises UserError."""
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
    """Return True if the inputs have records in this time range."""
    inputs = [*lookup.partitions(names.spans), *lookup.partitions(names.logs)]
    first, last = lookup.at(inputs, begin), lookup.at(inputs, end)
    return any(first[one] < last[one] for one in inputs)
