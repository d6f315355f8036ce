"""Reading ranges of partitions outside of any group: to their ends, or for ever."""

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
    """Messages of one partition that were fetched together, in their order: records, or events that have an error."""

    topic: str
    number: int
    is_events: bool
    messages: list[Any]
    """The client's types allow for messages without an offset or a value, which only events are."""


def runs(messages: list[Any]) -> Iterator[Run]:
    """Cut a fetch into runs: each question is put to all messages in one call, for they are many."""
    failed = map(is_not, map(Message.error, messages), repeat(None))
    places = zip(map(Message.topic, messages), map(Message.partition, messages), failed, strict=True)
    start = 0
    for (topic, number, is_events), same in groupby(places):
        end = start + len(list(same))
        yield Run(topic or "", number or 0, is_events, messages[start:end])
        start = end


class Reader:
    """Reads the committed records of ranges, each partition in its order; a context manager that closes it.

    `positions` are the offsets from which each partition is to be read on, `unread` the partitions that are not at the
    ends of their ranges. Raises UserError where Kafka says nothing for half a minute about what is unread, and where
    retention has passed what is to be read.
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
        """`name` is shown to the brokers; `defaults` are properties that the user's own overrule.

        `live` partitions are read from these offsets on, without an end. A `patient` reader takes what retention has
        left, and waits for as long as it is asked.
        """
        properties: dict[str, Any] = dict(
            client_properties(
                settings,
                promised={
                    "group.id": name,  # never joined: librdkafka wants a name
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
        """Let go of the connections."""
        self._consumer.close()

    def member(self) -> Member:
        """Return as whom offsets are committed of the group that has the reader's name; it has no members."""
        return self._consumer.consumer_group_metadata()

    def poll(self, seconds: float = 0.2) -> list[tuple[PartitionId, list[Message]]]:
        """Return what has come of the ranges within so many seconds: runs of records of one partition each."""
        begun = time.monotonic()
        messages = self._consumer.consume(_AT_ONCE, seconds)
        # Only while it is asked: whoever is slow to ask again is not answered meanwhile.
        self._silent = 0.0 if messages else self._silent + time.monotonic() - begun
        if self.unread and self._silent > _SILENCE and not self._patient:
            raise UserError(f"Kafka has said nothing for {_SILENCE:g} s; {_shown(self.unread)} are still to be read.")
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
        """Yield all records up to the ends."""
        while self.unread:
            for _, run in self.poll():
                yield from run

    def finish(self, partition: PartitionId) -> None:
        """Read no more of a partition."""
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
                    "passed what was to be read."
                )
            case Kind.FATAL:
                raise UserError(f"Kafka: cannot read {partition[0]}[{partition[1]}]: {error.str()}.")


def _shown(partitions: Iterable[PartitionId]) -> str:
    return ", ".join(f"{topic}[{number}]" for topic, number in sorted(partitions))
