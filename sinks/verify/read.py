"""Reads the messages of a time range from Kafka, and the committed offsets of the sinks."""

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
    """The committed offsets of a sink's group."""

    def __init__(self, offsets: Mapping[PartitionId, int]) -> None:
        """Without any offset, everything counts as committed."""
        self._offsets = offsets

    def covers(self, partition: PartitionId, offset: int) -> bool:
        """Return True if the sink has committed a message."""
        return not self._offsets or offset < self._offsets.get(partition, 0)


def committed(settings: KafkaSettings, group: str, partitions: Iterable[PartitionId]) -> CommittedOffsets:
    """Fetch the committed offsets of a group; raises UserError."""
    found = group_offsets(settings, group, partitions)
    return CommittedOffsets({partition: one.offset for partition, one in found.items() if one.offset >= 0})


class JoinedInput:
    """The messages that the sinks must write, of the time range from `begin` to before `end` (milliseconds).

    Parts are selected if they have a record in the range by stream time; lines without a trace by the time of their
    message. `total` and `done` count messages, for a progress bar.
    """

    def __init__(self, settings: WindowSettings, admin: AdminClient, begin: int, end: int, *, unlinked: bool) -> None:
        """Look up the offset ranges; lines without a trace are read only with `unlinked`."""
        self._settings, self._begin, self._end = settings, begin, end
        lookup = OffsetLookup(admin)
        self._parts = JoinedParts(settings, lookup, begin, end)
        lone = lookup.partitions(names_of(settings).unlinked_logs) if unlinked else []
        # Up to the end: clocks of publishers differ, so a record of the range may come after later ones.
        self._lone = lookup.since(lone, begin)
        self.total = self._parts.total + sum(
            offset_range.end - offset_range.start for offset_range in self._lone.values()
        )
        self.done = 0

    def read(self) -> Iterator[list[SourceMessage]]:
        """Yield messages in batches of up to 4 MiB, some of them empty; raises UserError."""
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
        """The earliest time that can be verified (ms), if older parts were deleted; None else. Known after reading."""
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
    """Return the topics that are verified."""
    return frozenset({names.traces, names.unlinked_logs})
