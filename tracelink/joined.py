"""The parts of traces that the join has put out of a stretch of time."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from confluent_kafka import Message

from tracelink import splice
from tracelink.errors import InvalidRecord
from tracelink.progress import Partition
from tracelink.replays import is_end
from tracelink.settings import JoinSettings
from tracelink.splice import Head
from tracelink.stretches import Edges, Reader, Stretch
from tracelink.topics import names_of

# Bytes that the join may take in at once, of both its inputs, and put out in another order than that of their times.
_MORE_THAN_HELD = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class JoinedPart:
    """A part as it lies in the topic of traces; `head` is None where it does not decode."""

    partition: Partition
    message: Message
    head: Head | None


class JoinedParts:
    """Reads the parts that have a record in a stretch of stream time, from `begin` to before `end`, in milliseconds.

    `total` and `done` count messages, for a progress bar.

    A part is put out after its last record came, so nothing of the stretch lies before what was put out at its begin.
    And parts of a partition come out as its watermark passes them: once there are some that were begun so long after
    the end that all others must have closed, and more of them than the join holds before it moves its watermark, the
    rest of the partition is left unread.
    """

    def __init__(self, settings: JoinSettings, edges: Edges, begin: int, end: int) -> None:
        """Find where to read; `settings` are the join's: where its windows were longer, parts may be missed."""
        partitions = edges.partitions(names_of(settings).traces)
        starts, ends = edges.at(partitions, begin), edges.ends(partitions)
        self._stretches = {one: Stretch(min(starts[one], ends[one]), ends[one]) for one in partitions}
        self._settings = settings
        self._begin, self._end = begin, end
        # Twice what is needed, for a worker that ran under other settings.
        self._beyond = Counter[Partition]()
        self._enough = end + round(2000 * (settings.max_age + settings.idle_gap))
        self.total = sum(stretch.end - stretch.start for stretch in self._stretches.values())
        self.done = 0

    def read(self) -> Iterator[list[JoinedPart]]:
        """Yield what comes of one read after the other, which may be nothing; raises UserError."""
        with Reader(self._settings, f"{self._settings.topic_prefix}joined", self._stretches) as reader:
            while reader.unread:
                found: list[JoinedPart] = []
                for partition, messages in reader.poll():
                    found += self._select(reader, partition, messages)
                self.done = sum(offset - self._stretches[one].start for one, offset in reader.positions.items())
                yield found

    def _select(self, reader: Reader, partition: Partition, messages: list[Message]) -> Iterator[JoinedPart]:
        for message in messages:
            try:
                head = splice.head(message.value() or b"")
            except InvalidRecord:
                if not is_end(message):
                    yield JoinedPart(partition, message, None)
                continue
            if head.opened < self._end and head.closed >= self._begin:
                yield JoinedPart(partition, message, head)
            elif head.opened > self._enough:
                self._beyond[partition] += len(message.value() or b"")
                if self._beyond[partition] > _MORE_THAN_HELD:
                    reader.finish(partition)
                    return
