"""Sends messages to Kafka without dropping any: waits while the producer's buffer is full."""

from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as Report
from confluent_kafka.admin import AdminClient

from tracelink.errors import UserError
from tracelink.kafka.client import client_log
from tracelink.kafka.messages import KINDS, EncodedRecord
from tracelink.kafka.topics import TopicNames
from tracelink.publisher import producer_properties
from tracelink.settings import PublisherSettings

_POLL_SECONDS = 0.1


@dataclass(slots=True)
class Counts:
    """Counts of messages: sent by kind, acknowledged, and failed by error text."""

    sent: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    delivered: int = 0
    undelivered: dict[str, int] = field(default_factory=dict)


class Delivery:
    """Sends messages, at most `rate` a second if it is set, and counts their results in `counts`."""

    def __init__(self, settings: PublisherSettings, *, rate: float | None = None) -> None:
        self.counts = Counts()
        self._rate = rate
        self._start = monotonic()
        self._sent = 0
        properties: dict[str, Any] = {**producer_properties(settings), "on_delivery": self._report, "log_level": 0}
        self._producer = Producer(properties, logger=client_log(__name__))

    def send(self, message: EncodedRecord) -> None:
        """Send a message; waits while the buffer is full or the rate limit is reached."""
        if self._rate is not None:
            while (ahead := self._sent / self._rate - (monotonic() - self._start)) > 0:
                self._producer.poll(ahead)
        self._sent += 1
        self.counts.sent[message.kind] += 1
        while True:
            try:
                self._producer.produce(message.topic, message.value, message.key)
            except BufferError:
                self._producer.poll(_POLL_SECONDS)
            except KafkaException as error:
                self._fail(error.args[0])
                return
            else:
                self._producer.poll(0)
                return

    @property
    def waiting(self) -> int:
        """Number of messages that Kafka has not answered yet."""
        return len(self._producer)

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for the answers; returns True if all have come."""
        return self._producer.flush(timeout) == 0

    def give_up(self) -> None:
        """Drop unanswered messages, and count them as undelivered."""
        self._producer.purge()
        self._producer.flush(_POLL_SECONDS)

    def _report(self, error: KafkaError | None, _: Report) -> None:
        if error is None:
            self.counts.delivered += 1
        else:
            self._fail(error)

    def _fail(self, error: KafkaError) -> None:
        self.counts.undelivered[error.str()] = self.counts.undelivered.get(error.str(), 0) + 1


def require_topics(admin: AdminClient, settings: PublisherSettings) -> None:
    """Raise UserError if a topic for records is missing, or Kafka does not answer."""
    names = TopicNames(settings.topic_prefix)
    try:
        there = admin.list_topics(timeout=10).topics
    except KafkaException as error:
        raise UserError(
            f"Kafka at {settings.kafka_bootstrap_servers} does not answer: {error.args[0].str()}."
        ) from None
    missing = [name for name in (names.spans, names.logs, names.unlinked_logs) if name not in there]
    if missing:
        raise UserError(
            f"Kafka at {settings.kafka_bootstrap_servers} has no topic {', '.join(missing)}. "
            "Create the topics with: tracelink topics apply (or choose others with --topic-prefix)."
        )
