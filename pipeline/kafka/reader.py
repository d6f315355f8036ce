"""A reader of partitions without a consumer group: offset ranges to their ends, or live without an end."""

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, repeat
from operator import is_not
from types import TracebackType
from typing import Any, NamedTuple, Self

from confluent_kafka import Consumer, Message, TopicPartition

from pipeline.kafka.offsets import Member, OffsetRange
from tracelink.errors import UserError
from tracelink.kafka.client import Properties, client_log, client_properties
from tracelink.kafka.errors import Kind, classify
from tracelink.kafka.topics import PartitionId
from tracelink.settings import KafkaSettings

_AT_ONCE = 2_000
_SILENCE = 30.0


class Run(NamedTuple):
    """Consecutive messages of one partition in a fetch, in order: either records, or events, which have an error."""

    topic: str
    number: int
    is_events: bool
    messages: list[Any]
    """`Any`, because the client's type allows messages without offset or value, which only events are."""


def runs(messages: list[Any]) -> Iterator[Run]:
    """Split a fetch into runs; with `map`, because a Python call for each message would be slow."""
    failed = map(is_not, map(Message.error, messages), repeat(None))
    places = zip(map(Message.topic, messages), map(Message.partition, messages), failed, strict=True)
    start = 0
    for (topic, number, is_events), same in groupby(places):
        end = start + len(list(same))
        yield Run(topic or "", number or 0, is_events, messages[start:end])
        start = end


class Reader:
    """Reads the committed records of offset ranges, each partition in order; a context manager that closes itself.

    `positions` has the next offset of each partition, `unread` the partitions that are not at the end of their ranges.
    Raises UserError if Kafka sends nothing for 30 seconds while partitions are unread, or if retention has deleted
    records of a range.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        name: str,
        ranges: Mapping[PartitionId, OffsetRange],
        *,
        live: Mapping[PartitionId, int] | None = None,
        patient: bool = False,
        defaults: Properties | None = None,
    ) -> None:
        """`name` is the group id that brokers see; the user's properties override `defaults`.

        `live` partitions are read from these offsets without an end. A `patient` reader skips records that retention
        has deleted, and waits without a limit.
        """
        properties: dict[str, Any] = dict(
            client_properties(
                settings,
                promised={
                    "group.id": name,  # librdkafka requires it; the group is never joined
                    "enable.auto.commit": False,
                    "isolation.level": "read_committed",
                    "enable.partition.eof": True,
                    "auto.offset.reset": "earliest" if patient else "error",
                },
                defaults={"fetch.wait.max.ms": 100, "queued.min.messages": 50_000, **(defaults or {})},
            )
        )
        self._consumer = Consumer(properties, logger=client_log(__name__))
        self._patient = patient
        self._ends = {partition: one.end for partition, one in ranges.items()}
        self.positions = {partition: one.start for partition, one in ranges.items()} | dict(live or {})
        self.unread = {partition for partition, end in self._ends.items() if self.positions[partition] < end}
        self._reading = self.unread | set(live or ())
        self._silent = 0.0
        if self._reading:
            self._consumer.assign(
                [TopicPartition(*partition, self.positions[partition]) for partition in self._reading]
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._consumer.close()

    def member(self) -> Member:
        """Return the metadata to commit offsets of the group with the reader's name, which has no members."""
        return self._consumer.consumer_group_metadata()

    def poll(self, seconds: float = 0.2) -> list[tuple[PartitionId, list[Message]]]:
        """Return the records that arrive within so many seconds, in runs of one partition each."""
        begun = time.monotonic()
        messages = self._consumer.consume(_AT_ONCE, seconds)
        # Only the time within this call counts: a slow caller is not Kafka's silence.
        self._silent = 0.0 if messages else self._silent + time.monotonic() - begun
        if self.unread and self._silent > _SILENCE and not self._patient:
            raise UserError(f"Kafka has sent nothing for {_SILENCE:g} s; unread: {_shown(self.unread)}.")
        found: list[tuple[PartitionId, list[Message]]] = []
        for topic, number, is_events, run in runs(messages):
            partition = (topic, number)
            if is_events:
                for event in run:
                    self._note_event(partition, event)
            elif partition in self._reading:
                self._take(partition, run, found)
        return found

    def messages(self) -> Iterator[Message]:
        """Yield all records up to the ends of the ranges."""
        while self.unread:
            for _, run in self.poll():
                yield from run

    def finish(self, partition: PartitionId) -> None:
        """Stop reading a partition."""
        self.unread.discard(partition)
        if partition in self._reading:
            self._reading.remove(partition)
            self._consumer.pause([TopicPartition(*partition)])

    def _take(self, partition: PartitionId, run: list[Message], found: list[tuple[PartitionId, list[Message]]]) -> None:
        end = self._ends.get(partition)
        offset = run[-1].offset() or 0
        if end is not None and offset >= end:
            run = run[: bisect_left([message.offset() or 0 for message in run], end)]
        if run:
            found.append((partition, run))
        self._reach(partition, offset + 1)

    def _reach(self, partition: PartitionId, offset: int) -> None:
        end = self._ends.get(partition)
        reached = max(offset, self.positions[partition])
        self.positions[partition] = reached if end is None else min(end, reached)
        if end is not None and offset >= end:
            self.finish(partition)

    def _note_event(self, partition: PartitionId, event: Message) -> None:
        error = event.error()
        if error is None or partition not in self._reading:
            return
        match classify(error):
            case Kind.END:
                self._reach(partition, event.offset() or 0)
            case Kind.GONE:
                raise UserError(
                    f"{partition[0]}[{partition[1]}] has no offset {self.positions[partition]} any more: retention has "
                    "deleted records of the range."
                )
            case Kind.FATAL:
                raise UserError(f"Kafka: cannot read {partition[0]}[{partition[1]}]: {error.str()}.")


def _shown(partitions: Iterable[PartitionId]) -> str:
    return ", ".join(f"{topic}[{number}]" for topic, number in sorted(partitions))
