"""What Kafka holds of a stretch of time, and how far the sinks have come with it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AdminClient

from pipeline.kafka.joined import JoinedParts
from pipeline.kafka.offsets import OffsetLookup, group_offsets
from pipeline.kafka.reader import Reader
from pipeline.model.dead_letters import Origin
from pipeline.model.replay_markers import is_end
from pipeline.settings import WindowSettings, names_of
from sinks.base.contract import SourceMessage
from tracelink.kafka.topics import PartitionId, TopicNames
from tracelink.settings import KafkaSettings

_BATCH_BYTES = 4 * 1024 * 1024


class CommittedOffsets:
    """How far a sink's group has come."""

    def __init__(self, offsets: Mapping[PartitionId, int]) -> None:
        """`offsets` are those that it has committed; without any at all, it is taken to have come to everything."""
        self._offsets = offsets

    def covers(self, partition: PartitionId, offset: int) -> bool:
        """Tell whether a message was the sink's to write."""
        return not self._offsets or offset < self._offsets.get(partition, 0)


def committed(settings: KafkaSettings, group: str, partitions: Iterable[PartitionId]) -> CommittedOffsets:
    """Ask what a group has committed; raises UserError."""
    found = group_offsets(settings, group, partitions)
    return CommittedOffsets({partition: one.offset for partition, one in found.items() if one.offset >= 0})


class JoinedInput:
    """The messages that the sinks have to write, of a stretch from `begin` to before `end` (milliseconds).

    Those are the parts that have a record in it by stream time, and the lines without a trace by the times of their
    messages. `total` and `done` count messages, for a progress bar.
    """

    def __init__(self, settings: WindowSettings, admin: AdminClient, begin: int, end: int, *, unlinked: bool) -> None:
        """Find where to read; the lines without a trace only with `unlinked`."""
        self._settings, self._begin, self._end = settings, begin, end
        lookup = OffsetLookup(admin)
        self._parts = JoinedParts(settings, lookup, begin, end)
        lone = lookup.partitions(names_of(settings).unlinked_logs) if unlinked else []
        # To the end: publishers' clocks differ, so that a record of the stretch may lie behind later ones.
        self._lone = lookup.since(lone, begin)
        self.total = self._parts.total + sum(
            offset_range.end - offset_range.start for offset_range in self._lone.values()
        )
        self.done = 0

    def read(self) -> Iterator[list[SourceMessage]]:
        """Yield messages in batches of a few MiB, or an empty one where there is nothing new; raises UserError."""
        for found in self._parts.read():
            self.done = self._parts.done
            yield from _batches([one.message for one in found if one.head is not None or self._covers(one.message)])
        with Reader(self._settings, f"{self._settings.topic_prefix}verify", self._lone) as reader:
            while reader.unread:
                for _, messages in reader.poll():
                    yield from _batches([message for message in messages if self._covers(message)])
                self.done = self._parts.total + sum(
                    offset - self._lone[one].start for one, offset in reader.positions.items()
                )
                yield []

    @property
    def available_since(self) -> int | None:
        """When what can be told begins, in milliseconds, where older parts were deleted; known after reading."""
        return self._parts.available_since

    def _covers(self, message: KafkaMessage) -> bool:
        return self._begin <= message.timestamp()[1] < self._end and not is_end(message)


def _batches(messages: Sequence[KafkaMessage]) -> Iterator[list[SourceMessage]]:
    batch: list[SourceMessage] = []
    size = 0
    for message in messages:
        value = message.value() or b""
        if batch and size + len(value) > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(SourceMessage(Origin.of(message), message.key(), value))
        size += len(value)
    yield batch


def topics_of(names: TopicNames) -> frozenset[str]:
    """Return the topics whose messages are looked at."""
    return frozenset({names.traces, names.unlinked_logs})
