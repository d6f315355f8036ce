"""Reading stretches of partitions, from one offset to another, outside of any group."""

import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import groupby, repeat
from operator import is_not
from types import TracebackType
from typing import Any, Self

from confluent_kafka import (
    Consumer,
    KafkaError,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import OffsetSpec

from pipeline.kafka.offsets import Stretch
from tracelink.errors import UserError
from tracelink.kafka.client import PASSING, Properties, client_log, outside_group
from tracelink.kafka.topics import Partition
from tracelink.settings import KafkaSettings

_AT_ONCE = 2_000
_TIMEOUT = 10.0
_PAUSE = 0.1
_SILENCE = 30.0
_EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # the client does not annotate it
_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # as above


class Reader:
    """Reads the committed records of stretches, each partition in its order; a context manager that closes it.

    `positions` are the offsets from which each partition is to be read on. Raises UserError where Kafka says nothing
    for half a minute, and where retention has passed what is to be read.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        name: str,
        stretches: Mapping[Partition, Stretch],
        *,
        defaults: Properties | None = None,
    ) -> None:
        """`name` is shown to the brokers; `defaults` are properties that the user's own overrule."""
        properties: dict[str, Any] = dict(
            outside_group(
                settings,
                name,
                promised={"enable.partition.eof": True, "auto.offset.reset": "error"},
                defaults={"fetch.wait.max.ms": 100, "queued.min.messages": 50_000, **(defaults or {})},
            )
        )
        self._consumer = Consumer(properties, logger=client_log(__name__))
        self._ends = {partition: stretch.end for partition, stretch in stretches.items()}
        self.positions = {partition: stretch.start for partition, stretch in stretches.items()}
        self.unread = {partition for partition, stretch in stretches.items() if stretch.start < stretch.end}
        self._silent = 0.0
        if self.unread:
            self._consumer.assign([TopicPartition(*partition, self.positions[partition]) for partition in self.unread])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._consumer.close()

    def member(self) -> Any:  # noqa: ANN401 - the client's type of it has no name
        """Return as whom offsets are committed of the group that has the reader's name; it has no members."""
        return self._consumer.consumer_group_metadata()

    def poll(self, seconds: float = 0.2) -> list[tuple[Partition, list[Message]]]:
        """Return what has come of the stretches within so many seconds: runs of records of one partition each."""
        begun = time.monotonic()
        messages = self._consumer.consume(_AT_ONCE, seconds)
        # Only while it is asked: whoever is slow to ask again is not answered meanwhile.
        self._silent = 0.0 if messages else self._silent + time.monotonic() - begun
        if self.unread and self._silent > _SILENCE:
            raise UserError(f"Kafka has said nothing for {_SILENCE:g} s; {_shown(self.unread)} are still to be read.")
        found: list[tuple[Partition, list[Message]]] = []
        failed = map(is_not, map(Message.error, messages), repeat(None))
        places = zip(map(Message.topic, messages), map(Message.partition, messages), failed, strict=True)
        start = 0
        for (topic, number, is_event), same in groupby(places):
            run = messages[start : start + len(list(same))]
            start += len(run)
            partition = (topic or "", number or 0)
            if is_event:
                for event in run:
                    self._note_event(partition, event)
            elif partition in self.unread:
                self._take(partition, run, found)
        return found

    def finish(self, partition: Partition) -> None:
        """Read no more of a partition."""
        if partition in self.unread:
            self.unread.remove(partition)
            self._consumer.pause([TopicPartition(*partition)])

    def _take(self, partition: Partition, run: list[Message], found: list[tuple[Partition, list[Message]]]) -> None:
        end = self._ends[partition]
        offset = run[-1].offset() or 0
        if offset >= end:
            run = run[: bisect_left([message.offset() or 0 for message in run], end)]
        if run:
            found.append((partition, run))
        self._reach(partition, offset + 1)

    def _reach(self, partition: Partition, offset: int) -> None:
        end = self._ends[partition]
        self.positions[partition] = min(end, max(offset, self.positions[partition]))
        if offset >= end:
            self.finish(partition)

    def _note_event(self, partition: Partition, event: Message) -> None:
        error = event.error()
        if error is None or partition not in self.unread:
            return
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - confluent-kafka's name for it
            self._reach(partition, event.offset() or 0)
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 - as above
            raise UserError(
                f"{partition[0]}[{partition[1]}] has no offset {self.positions[partition]} any more: retention has "
                "passed what was to be read."
            )
        elif error.code() not in PASSING:
            raise UserError(f"Kafka: cannot read {partition[0]}[{partition[1]}]: {error.str()}.")


def _shown(partitions: Iterable[Partition]) -> str:
    return ", ".join(f"{topic}[{number}]" for topic, number in sorted(partitions))
