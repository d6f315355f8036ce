"""The Kafka side of a sink: reads messages, commits offsets, and stays in the group while the target is unavailable."""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Event
from typing import Any, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from pipeline.kafka.offsets import Member
from pipeline.model.dead_letters import Origin, redriven
from pipeline.model.replay_markers import is_end
from sinks.base.contract import SourceMessage
from sinks.base.settings import SinkSettings
from tracelink.kafka import errors
from tracelink.kafka.client import client_log, client_properties
from tracelink.kafka.errors import Kind, classify, passes
from tracelink.kafka.topics import PartitionId

_log = logging.getLogger(__name__)

_TICK = 0.2
_MOST_MESSAGES = 10_000
# A few milliseconds' worth: the caller of `read_ahead` also watches a write.
_AHEAD_AT_ONCE = 500

# The partitions were reassigned, and their new owners write the batch again; the next poll reports which.
_NOT_OURS = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        errors.ASSIGNMENT_LOST,
        errors.STATE,
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """Messages, and the offset to commit for each partition after they were written."""

    messages: tuple[SourceMessage, ...]
    positions: dict[PartitionId, int]
    lost: set[PartitionId] = field(default_factory=set)
    """Partitions revoked since it was gathered; their next owner writes their messages."""

    def mine(self) -> list[TopicPartition]:
        """Return the offsets of the partitions that are still assigned."""
        return [
            TopicPartition(*partition, offset)
            for partition, offset in self.positions.items()
            if partition not in self.lost
        ]


class Source:
    """A consumer of one group. It reads committed data only; offsets are committed by explicit calls only.

    Assignment is cooperative: partitions are independent of each other. A member keeps reading those that it keeps in a
    rebalance, and keeps retrying their batch.
    """

    def __init__(self, settings: SinkSettings, group: str, topics: tuple[str, ...], *, ends: bool = False) -> None:
        """Subscribe. With `ends` the topics are a replay job's, and each partition is read up to its end marker.

        The marker's own offset is committed there, so that a later process finds the marker again.
        """
        self._ends = ends
        self._ended: dict[PartitionId, int] = {}  # partitions whose end marker was read, and its offset
        self.assigned: set[PartitionId] = set()
        self.paused = False
        self._gathered: list[Gathered] = []  # handed out and not committed yet
        self._messages: list[SourceMessage] = []
        self._bytes = 0
        self._since = 0.0  # when the first of these messages came
        self._positions: dict[PartitionId, int] = {}
        self._committed: dict[PartitionId, int] = {}
        self._uncommitted: dict[PartitionId, int] = {}
        self._batch_bytes = settings.batch_bytes
        self._batch_wait = settings.batch_wait
        properties: dict[str, Any] = dict(
            client_properties(
                settings,
                promised={
                    "group.id": group,
                    "isolation.level": "read_committed",
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "partition.assignment.strategy": "cooperative-sticky",
                    # The end event's position is behind transaction markers, so the lag can reach zero.
                    "enable.partition.eof": True,
                },
                defaults={
                    "auto.offset.reset": "earliest",
                    "session.timeout.ms": 10_000,
                    "heartbeat.interval.ms": 1_000,
                },
            )
        )
        self._consumer = Consumer(properties, logger=client_log(__name__))
        self._consumer.subscribe(list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke)

    def gather(self, stop: Event) -> Gathered:
        """Read until the batch is full or `batch_wait` is over; without any message, return after 0.2 s."""
        until = self._since + self._batch_wait if self._messages else time.monotonic() + _TICK
        while not self._full() and not stop.is_set():
            polled = self._consumer.poll(min(_TICK, max(0.0, until - time.monotonic())))
            if polled is not None:
                first = not self._messages
                self._take(polled)
                if first and self._messages:
                    until = self._since + self._batch_wait
            elif time.monotonic() >= until:
                break
        return self._hand_out()

    def read_ahead(self) -> Gathered | None:
        """Take prefetched messages without waiting; return a batch as soon as one is full, else None."""
        for _ in range(_AHEAD_AT_ONCE):
            if self._full():
                return self._hand_out()
            polled = self._consumer.poll(0)
            if polled is None:
                break
            self._take(polled)
        return None

    def resume(self) -> None:
        """Resume reading after a pause."""
        if self.paused:
            self._consumer.resume([TopicPartition(*partition) for partition in self.assigned])
            self.paused = False

    def keep_alive(self, seconds: float = 0.0) -> None:
        """Poll for some seconds with the partitions paused, to stay in the group."""
        if not self.paused:
            self._consumer.pause([TopicPartition(*partition) for partition in self.assigned])
            self.paused = True
        polled = self._consumer.poll(seconds)
        if polled is not None:
            self._take(polled)  # fetched before the pause; it goes into the next batch

    def member(self) -> Member:
        """Return the group metadata for committing offsets in a transaction."""
        return self._consumer.consumer_group_metadata()

    def committed(self, offsets: Iterable[TopicPartition]) -> None:
        """Record that offsets were committed in a transaction."""
        for one in offsets:
            if (one.topic, one.partition) in self.assigned:
                self._committed[one.topic, one.partition] = one.offset
                self._uncommitted.pop((one.topic, one.partition), None)

    def commit(self, gathered: Gathered) -> None:
        """Commit its offsets, and those that could not be committed before; blocks until the broker has answered.

        Batches must be committed in the order in which they were gathered. Offsets of revoked partitions are skipped:
        their next owner writes again. After a transient error, the next call commits the offsets again. Raises
        KafkaException for all other errors.
        """
        self._gathered.remove(gathered)
        self._uncommitted |= {(one.topic, one.partition): one.offset for one in gathered.mine()}
        moved = {
            partition: offset
            for partition, offset in self._uncommitted.items()
            if self._committed.get(partition) != offset
        }
        if not moved:
            return
        offsets = [TopicPartition(*partition, offset) for partition, offset in moved.items()]
        try:
            answers = self._consumer.commit(offsets=offsets, asynchronous=False) or []
        except KafkaException as error:
            self._pass_over(error.args[0])
            return
        for answer in answers:
            if answer.error is not None:
                self._pass_over(answer.error)
            else:
                partition = (answer.topic, answer.partition)
                self._committed[partition] = self._uncommitted.pop(partition)

    @property
    def drained(self) -> bool:
        """True if there are partitions, and all are committed up to their end markers."""
        return bool(self.assigned) and all(map(self._is_over, self.assigned))

    def done(self) -> dict[PartitionId, int]:
        """Return the committed offset of each partition that is not drained; -1 before the first commit."""
        return {
            partition: self._committed.get(partition, -1) for partition in self.assigned if not self._is_over(partition)
        }

    def lag(self) -> dict[PartitionId, int]:
        """Count the uncommitted messages of each partition with a known end and commit."""
        found: dict[PartitionId, int] = {}
        for partition, offset in self._committed.items():
            _low, high = self._consumer.get_watermark_offsets(TopicPartition(*partition), cached=True)
            if high >= 0:
                found[partition] = 0 if self._is_over(partition) else max(0, high - offset)
        return found

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _is_over(self, partition: PartitionId) -> bool:
        end = self._ended.get(partition)
        return end is not None and self._committed.get(partition) == end

    def _full(self) -> bool:
        return self._bytes >= self._batch_bytes or len(self._messages) >= _MOST_MESSAGES

    def _hand_out(self) -> Gathered:
        gathered = Gathered(tuple(self._messages), self._positions)
        self._messages, self._positions, self._bytes = [], {}, 0
        self._gathered.append(gathered)
        return gathered

    def _take(self, polled: KafkaMessage) -> None:
        """Process a polled message or event."""
        error = polled.error()
        origin = Origin.of(polled)
        partition, offset = (origin.topic, origin.partition), origin.offset
        if error is not None:
            match classify(error):
                case Kind.END:
                    self._positions[partition] = self._ended.get(partition, offset)
                case Kind.TRANSIENT:
                    _log.warning("Kafka: %s", error.str())
                case _:
                    raise KafkaException(error)
            return
        value = polled.value() or b""
        if self._ends and (partition in self._ended or (not value and is_end(polled))):
            self._positions[partition] = self._ended.setdefault(partition, offset)
            return
        headers = cast("list[tuple[str, bytes]] | None", polled.headers())
        if not self._messages:
            self._since = time.monotonic()
        self._messages.append(SourceMessage(origin, polled.key(), value, redriven(headers) if headers else ()))
        self._bytes += len(value)
        self._positions[partition] = offset + 1

    def _pass_over(self, error: KafkaError) -> None:
        if error.code() in _NOT_OURS:
            # Partitions that stay are committed with the next batch; `_on_revoke` drops the others.
            _log.info("Offsets not committed, partitions are being reassigned: %s", error.str())
        elif passes(error):
            _log.warning("Offsets not committed, retrying: %s", error.str())
        else:
            raise KafkaException(error)

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.incremental_assign(partitions)
        if self.paused:
            consumer.pause(partitions)
        self.assigned |= {(one.topic, one.partition) for one in partitions}

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        gone = {(one.topic, one.partition) for one in partitions}
        self.assigned -= gone
        for gathered in self._gathered:
            gathered.lost.update(gone)
        self._messages = [message for message in self._messages if message.partition not in gone]
        self._bytes = sum(len(message.value) for message in self._messages)
        for known in (self._positions, self._committed, self._uncommitted, self._ended):
            for partition in gone:
                known.pop(partition, None)
        consumer.incremental_unassign(partitions)
