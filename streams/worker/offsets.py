"""Which offsets a group has committed, and where partitions begin and end."""

from collections.abc import Callable, Iterable, Mapping
from threading import Event
from typing import NamedTuple

from confluent_kafka import Consumer, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from tenacity import Retrying, retry_if_exception, stop_when_event_set, wait_random_exponential

from tracelink.kafka.errors import PASSING

_TIMEOUT = 10.0
_EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # the client does not annotate it
_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # as above

Where = tuple[str, int]
"""Topic and number of a partition."""


class GroupOffset(NamedTuple):
    """What a group has committed for a partition: an offset, and what lies beside it."""

    offset: int
    metadata: str | None


class Offsets:
    """Asks the brokers until they answer, or the worker is told to stop: then their last error is raised."""

    def __init__(self, consumer: Consumer, admin: AdminClient, stopping: Event) -> None:
        self._consumer = consumer
        self._admin = admin
        self._retrying = Retrying(
            retry=retry_if_exception(_may_pass),
            wait=wait_random_exponential(multiplier=0.1, max=1),
            stop=stop_when_event_set(stopping),
            reraise=True,
        )

    def committed(self, partitions: Iterable[Where], waiting: Callable[[], None]) -> dict[Where, GroupOffset]:
        """Fetch the group's offsets; of a partition without one, where it begins now.

        Waits for transactions that are still open on them, and calls `waiting` before each attempt.
        """
        asked = [TopicPartition(*where) for where in partitions]

        def fetch() -> list[TopicPartition]:
            # Answers fail for as long as a transaction is open on the offsets: somebody else's, and no fault of ours.
            waiting()
            answers = self._consumer.committed(asked, timeout=_TIMEOUT)
            for one in answers:
                if one.error:
                    raise KafkaException(one.error)
            return answers

        found = {(one.topic, one.partition): GroupOffset(one.offset, one.metadata) for one in self._retrying(fetch)}
        first = self._edges([where for where, one in found.items() if one.offset < 0], _EARLIEST)
        return found | {where: GroupOffset(offset, None) for where, offset in first.items()}

    def ends(self, partitions: Iterable[Where]) -> dict[Where, int]:
        """Return the ends of partitions, those of open transactions included."""
        return self._edges(partitions, _LATEST)

    def _edges(self, partitions: Iterable[Where], edge: OffsetSpec) -> dict[Where, int]:
        asked = [TopicPartition(*where) for where in partitions]

        def ask() -> Mapping[Where, int]:
            for topic in {where.topic for where in asked}:
                # Else a client that lives long asks with the leaders that it once knew.
                self._admin.list_topics(topic, timeout=_TIMEOUT)
            futures = self._admin.list_offsets(
                dict.fromkeys(asked, edge), isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=_TIMEOUT
            )
            return {(where.topic, where.partition): future.result().offset for where, future in futures.items()}

        return dict(self._retrying(ask)) if asked else {}


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, KafkaException) and (bool(error.args[0].retriable()) or error.args[0].code() in PASSING)
