"""Lookup of offsets: begins and ends of partitions, offsets of times, committed offsets of groups."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from tracelink.errors import UserError
from tracelink.kafka import errors
from tracelink.kafka.client import client_log, client_properties
from tracelink.kafka.errors import may_pass, passes
from tracelink.kafka.topics import PartitionId
from tracelink.settings import KafkaSettings

T = TypeVar("T")

_TIMEOUT = 10.0
_PAUSE = 0.1
_EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # the client does not annotate it
_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # as above


Member = Any
"""The group metadata with which offsets are committed; the client's type for it is not public."""


class OffsetRange(NamedTuple):
    """Offsets of a partition from `start` up to before `end`."""

    start: int
    end: int


class GroupOffset(NamedTuple):
    """A group's committed offset of a partition, negative if there is none, and its metadata."""

    offset: int
    metadata: str | None


class Retry(Protocol):
    """Repeats a request to Kafka until it succeeds or is given up."""

    def __call__(self, question: Callable[[], T], /) -> T:
        """Return the answer; raises an error of the implementation if there is none."""


def within_seconds(question: Callable[[], T], /) -> T:
    """Repeat a request for up to 10 seconds while its error is transient; raises UserError."""
    retrying = Retrying(
        retry=retry_if_exception(may_pass), wait=wait_fixed(_PAUSE), stop=stop_after_delay(_TIMEOUT), reraise=True
    )
    try:
        return retrying(question)
    except KafkaException as error:
        raise UserError(f"Kafka does not answer: {error.args[0].str()}.") from None


class OffsetLookup:
    """Looks up offsets; its methods raise the errors of `retry`."""

    def __init__(self, admin: AdminClient, *, retry: Retry = within_seconds) -> None:
        self._admin = admin
        self._retry = retry

    def partitions(self, topic: str) -> list[PartitionId]:
        """Return the partitions of a topic; raises UserError if the topic does not exist."""
        found = self._retry(lambda: self._partitions_once(topic))
        if not found:
            raise UserError(f"Kafka has no topic {topic}. Create the topics with: tracelink topics apply")
        return [(topic, number) for number in sorted(found)]

    def topics(self) -> frozenset[str]:
        """Return the names of all topics."""
        return frozenset(self._retry(lambda: self._admin.list_topics(timeout=_TIMEOUT)).topics)

    def begins(self, partitions: Iterable[PartitionId]) -> dict[PartitionId, int]:
        """Return the offsets of the oldest records."""
        return self._ask(dict.fromkeys(partitions, _EARLIEST))

    def ends(self, partitions: Iterable[PartitionId], *, committed: bool = True) -> dict[PartitionId, int]:
        """Return the end offsets: after the last committed record, or with open transactions if not `committed`."""
        return self._ask(dict.fromkeys(partitions, _LATEST), committed=committed)

    def whole(self, topic: str) -> dict[PartitionId, OffsetRange]:
        """Return the current offset ranges of a topic; raises UserError if the topic does not exist."""
        partitions = self.partitions(topic)
        begins, ends = self.begins(partitions), self.ends(partitions)
        return {partition: OffsetRange(begins[partition], ends[partition]) for partition in partitions}

    def at(self, partitions: Iterable[PartitionId], milliseconds: int) -> dict[PartitionId, int]:
        """Return the offset of the first record of that time or later in each partition, its end if there is none."""
        asked = list(partitions)
        spec = OffsetSpec.for_timestamp(max(0, milliseconds))
        found = self._ask(dict.fromkeys(asked, spec))
        missing = [partition for partition, offset in found.items() if offset < 0]
        return found | (self.ends(missing) if missing else {})

    def since(self, partitions: Collection[PartitionId], milliseconds: int) -> dict[PartitionId, OffsetRange]:
        """Return the offset ranges from that time up to the current ends."""
        starts, ends = self.at(partitions, milliseconds), self.ends(partitions)
        return {one: OffsetRange(min(starts[one], ends[one]), ends[one]) for one in partitions}

    def next(self, member: Consumer, partitions: Iterable[PartitionId]) -> dict[PartitionId, GroupOffset]:
        """Return the offsets from which a member's group continues: committed ones, or else the begin of a partition.

        The member's own client asks, because another one may need ten seconds more to find the group's coordinator
        after a broker was down. If it reads committed records, it waits for open transactions on these offsets.
        """
        asked = [TopicPartition(*partition) for partition in partitions]
        found = self._retry(lambda: _group_offsets(member.committed(asked, timeout=_TIMEOUT)))
        first = self.begins([partition for partition, one in found.items() if one.offset < 0])
        return found | {partition: GroupOffset(offset, None) for partition, offset in first.items()}

    def _partitions_once(self, topic: str) -> Collection[int]:
        found = self._admin.list_topics(topic, timeout=_TIMEOUT).topics[topic]
        if found.error is not None and passes(found.error):
            # The topic was created just now, and has no leaders yet.
            raise KafkaException(found.error)
        return () if found.error is not None else found.partitions

    def _ask(self, asked: Mapping[PartitionId, OffsetSpec], *, committed: bool = True) -> dict[PartitionId, int]:
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        return self._retry(lambda: self._ask_once(asked, level)) if asked else {}

    def _ask_once(self, asked: Mapping[PartitionId, OffsetSpec], level: IsolationLevel) -> dict[PartitionId, int]:
        # Refresh the metadata first: otherwise the client asks outdated leaders about partitions that are new.
        for topic in {topic for topic, _ in asked}:
            found = self._admin.list_topics(topic, timeout=_TIMEOUT).topics[topic]
            if found.error is not None:
                raise KafkaException(found.error)
        request = {TopicPartition(*partition): spec for partition, spec in asked.items()}
        futures = self._admin.list_offsets(request, isolation_level=level, request_timeout=_TIMEOUT)
        try:
            return {(one.topic, one.partition): int(future.result().offset) for one, future in futures.items()}
        except KafkaException as error:
            if error.args[0].code() != errors.NO_ENTRY:
                raise
            # No partition has a leader: the broker stops or has just started. Unlike this code, that is transient.
            raise KafkaException(KafkaError(errors.LEADER_NOT_AVAILABLE, error.args[0].str())) from error


def group_offsets(
    settings: KafkaSettings, group: str, partitions: Iterable[PartitionId], *, stable: bool = True
) -> dict[PartitionId, GroupOffset]:
    """Return a group's committed offsets; with `stable`, after no transaction is open on them. Raises UserError.

    A consumer that does not join asks: an admin client would abort the process if the group's coordinator rejects the
    request, as it does while it is loading the group (librdkafka 2.16).
    """
    level = "read_committed" if stable else "read_uncommitted"
    properties: dict[str, Any] = dict(
        client_properties(settings, promised={"group.id": group, "isolation.level": level, "enable.auto.commit": False})
    )
    asked = [TopicPartition(*partition) for partition in partitions]
    consumer = Consumer(properties, logger=client_log(__name__))
    try:
        return within_seconds(lambda: _group_offsets(consumer.committed(asked, timeout=_TIMEOUT)))
    finally:
        consumer.close()


def _group_offsets(answers: Iterable[TopicPartition]) -> dict[PartitionId, GroupOffset]:
    found = {}
    for one in answers:
        if one.error:
            raise KafkaException(one.error)
        found[one.topic, one.partition] = GroupOffset(one.offset, one.metadata)
    return found
