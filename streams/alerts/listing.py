"""The problems as their topic tells: its newest record of each fingerprint, empty where one is forgotten."""

import logging
from time import monotonic
from types import TracebackType
from typing import Any, Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from pipeline.kafka.admin import apply_command, connect
from pipeline.model.problems import PROBLEM, Problem
from pipeline.settings import TopicSettings
from tracelink.errors import InvalidRecord, UserError
from tracelink.kafka.client import PASSING, client_log, outside_group
from tracelink.kafka.topics import TopicNames

_log = logging.getLogger(__name__)

_TIMEOUT = 10.0
_POLL = 0.2
_SILENCE = 30.0
_MOST_MESSAGES = 1000


class Listing:
    """The newest state of each problem, from the records of the topic in their order."""

    def __init__(self) -> None:
        self._problems: dict[bytes, Problem] = {}

    def take(self, key: bytes, value: bytes | None) -> None:
        """Take a record in; raises InvalidRecord where it is no problem."""
        if not value:
            self._problems.pop(key, None)
        else:
            self._problems[key] = PROBLEM.decode(value)

    def shown(self, *, quiet: bool = False, limit: int | None = None) -> list[Problem]:
        """Return those that fire, with `quiet` the others, too; the newest first, at most `limit`."""
        found = [one for one in self._problems.values() if quiet or one["status"] == "FIRING"]
        return sorted(found, key=lambda one: (-one["firstSeen"], one["fingerprint"]))[:limit]

    def count(self) -> tuple[int, int]:
        """Return how many fire and how many are quiet."""
        firing = sum(one["status"] == "FIRING" for one in self._problems.values())
        return firing, len(self._problems) - firing


class ProblemsTopic:
    """Reads the topic of problems from its beginning, outside of any group; a context manager that closes it.

    Raises UserError where Kafka does not answer or the topic is missing.
    """

    def __init__(self, settings: TopicSettings) -> None:
        self._topic = TopicNames(settings.topic_prefix).problems
        self._where = f"Kafka at {settings.kafka_bootstrap_servers}"
        self.listing = Listing()
        found = connect(settings).list_topics(timeout=_TIMEOUT).topics.get(self._topic)
        if found is None:
            raise UserError(
                f"{self._where} has no topic {self._topic}. Create the topics with: {apply_command(settings)}"
            )
        self._unread = set(found.partitions)
        properties: dict[str, Any] = dict(
            outside_group(
                settings,
                "tracelink-errors",
                promised={"enable.partition.eof": True},
                # The broker answers what is at its end only after this long.
                defaults={"fetch.wait.max.ms": 100},
            )
        )
        self._consumer = Consumer(properties, logger=client_log(__name__))
        self._consumer.assign([TopicPartition(self._topic, number, OFFSET_BEGINNING) for number in found.partitions])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._consumer.close()

    @property
    def is_read(self) -> bool:
        """Whether all that the topic held has been read."""
        return not self._unread

    def poll(self, seconds: float) -> bool:
        """Read what comes within so many seconds, and tell whether anything did."""
        messages = self._consumer.consume(_MOST_MESSAGES, seconds)
        for message in messages:
            self._take(message)
        return bool(messages)

    def read_to_end(self) -> None:
        """Read all that the topic holds; raises UserError where Kafka says nothing for half a minute."""
        until = monotonic() + _SILENCE
        while not self.is_read:
            if self.poll(_POLL):
                until = monotonic() + _SILENCE
            elif monotonic() > until:
                raise UserError(f"{self._where} does not answer any more.")

    def _take(self, message: Message) -> None:
        error = message.error()
        if error is None:
            try:
                self.listing.take(message.key() or b"", message.value())
            except InvalidRecord as invalid:
                place = f"{self._topic}[{message.partition()}]@{message.offset()}"
                _log.warning("%s is no problem and is left out: %s", place, invalid)
        elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - confluent-kafka's name for it
            self._unread.discard(message.partition() or 0)
        elif error.code() not in PASSING:
            raise UserError(f"{self._where}: cannot read {self._topic}: {error.str()}.")
