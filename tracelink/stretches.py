"""Reading stretches of partitions, from one offset to another, outside of any group."""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby, repeat
from operator import is_not
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from tracelink.errors import UserError
from tracelink.kafka import PASSING, Properties, client_log, outside_group
from tracelink.moments import parse
from tracelink.progress import Partition
from tracelink.settings import KafkaSettings
from tracelink.topics import TopicNames

T = TypeVar("T")

_AT_ONCE = 2_000
_TIMEOUT = 10.0
_PAUSE = 0.1
_SILENCE = 30.0
_EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # the client does not annotate it
_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # as above


class Stretch(NamedTuple):
    """Offsets of a partition: from `start` to before `end`."""

    start: int
    end: int


class GroupOffset(NamedTuple):
    """What a group has committed for a partition: an offset, negative for none, and what lies beside it."""

    offset: int
    metadata: str | None


class Edges:
    """Asks where partitions begin and end, and where a time or a group lies in them; raises UserError."""

    def __init__(self, admin: AdminClient) -> None:
        self._admin = admin

    def partitions(self, topic: str) -> list[Partition]:
        """Return the partitions of a topic; raises UserError where there is none of that name."""
        try:
            found = self._admin.list_topics(topic, timeout=_TIMEOUT).topics[topic]
        except KafkaException as error:
            raise _unanswered(error) from None
        if found.error is not None or not found.partitions:
            raise UserError(f"Kafka has no topic {topic}. Create the topics with: tracelink topics apply")
        return [(topic, number) for number in sorted(found.partitions)]

    def topics(self) -> frozenset[str]:
        """Return the names of all topics."""
        return frozenset(_answered(lambda: self._admin.list_topics(timeout=_TIMEOUT)).topics)

    def begins(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the offsets of the oldest records there are."""
        return self._ask(dict.fromkeys(partitions, _EARLIEST))

    def ends(self, partitions: Iterable[Partition], *, committed: bool = True) -> dict[Partition, int]:
        """Return the offsets behind the last committed records, or those of open transactions included."""
        return self._ask(dict.fromkeys(partitions, _LATEST), committed=committed)

    def at(self, partitions: Iterable[Partition], milliseconds: int) -> dict[Partition, int]:
        """Return the offsets of the first records of that time or later; the ends where there is none."""
        asked = list(partitions)
        spec = OffsetSpec.for_timestamp(max(0, milliseconds))
        found = self._ask(dict.fromkeys(asked, spec))
        missing = [partition for partition, offset in found.items() if offset < 0]
        return found | (self.ends(missing) if missing else {})

    def committed(
        self, group: str, partitions: Iterable[Partition], *, stable: bool = True
    ) -> dict[Partition, GroupOffset]:
        """Return what a group has committed; where that is to be `stable`, once no transaction is open on it."""
        asked = ConsumerGroupTopicPartitions(group, [TopicPartition(*partition) for partition in partitions])

        def ask() -> list[TopicPartition]:
            future = self._admin.list_consumer_group_offsets([asked], require_stable=stable, request_timeout=_TIMEOUT)
            answers: list[TopicPartition] = future[group].result().topic_partitions
            for one in answers:
                if one.error:
                    raise KafkaException(one.error)
            return answers

        return {(one.topic, one.partition): GroupOffset(one.offset, one.metadata) for one in _answered(ask)}

    def _ask(self, asked: Mapping[Partition, OffsetSpec], *, committed: bool = True) -> dict[Partition, int]:
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        return _answered(lambda: self._ask_once(asked, level)) if asked else {}

    def _ask_once(self, asked: Mapping[Partition, OffsetSpec], level: IsolationLevel) -> dict[Partition, int]:
        # Else a client asks the leaders that it once knew: partitions that were just made have others.
        for topic in {topic for topic, _ in asked}:
            self._admin.list_topics(topic, timeout=_TIMEOUT)
        request = {TopicPartition(*partition): spec for partition, spec in asked.items()}
        futures = self._admin.list_offsets(request, isolation_level=level, request_timeout=_TIMEOUT)
        return {(one.topic, one.partition): int(future.result().offset) for one, future in futures.items()}


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


def milliseconds_of(text: str, now: int, settings: KafkaSettings, edges: Edges) -> int:
    """Return a moment (see `tracelink.moments`) in milliseconds since the epoch; `now` is too. Raises UserError."""
    try:
        return parse(
            text,
            now,
            TopicNames(settings.topic_prefix),
            lambda topic, number, offset: _time_at(settings, edges, (topic, number), offset),
        )
    except ValueError as error:
        raise UserError(f"{error}.") from None


def _time_at(settings: KafkaSettings, edges: Edges, partition: Partition, offset: int) -> int:
    topic, number = partition
    if partition not in edges.partitions(topic):
        raise UserError(f"{topic} has no partition {number}.")
    first, end = edges.begins([partition])[partition], edges.ends([partition])[partition]
    if first <= offset < end:
        with Reader(settings, f"{settings.topic_prefix}moment", {partition: Stretch(offset, offset + 1)}) as reader:
            while reader.unread:
                for _, messages in reader.poll():
                    return messages[0].timestamp()[1]
    raise UserError(f"{topic}[{number}] has no record at offset {offset}: it has those from {first} to before {end}.")


def _shown(partitions: Iterable[Partition]) -> str:
    return ", ".join(f"{topic}[{number}]" for topic, number in sorted(partitions))


def _answered(ask: Callable[[], T]) -> T:
    """Repeat a question while what keeps it from being answered may pass; raises UserError."""
    retrying = Retrying(
        retry=retry_if_exception(_may_pass), wait=wait_fixed(_PAUSE), stop=stop_after_delay(_TIMEOUT), reraise=True
    )
    try:
        return retrying(ask)
    except KafkaException as error:
        raise _unanswered(error) from None


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, KafkaException) and error.args[0].code() in PASSING


def _unanswered(error: KafkaException) -> UserError:
    return UserError(f"Kafka does not answer: {error.args[0].str()}.")
