"""Topics full of records, made only once and kept, so that every run reads the same bytes."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from benchmarks.traffic import Template, records_in, stream
from pipeline.kafka.admin import apply
from pipeline.settings import TopicSettings
from tracelink.errors import UserError
from tracelink.kafka.client import PARTITIONER
from tracelink.kafka.errors import PASSING
from tracelink.kafka.topics import TopicNames

PARTITIONS = 4
_FOREVER = str(10 * 365 * 86_400)
_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Load:
    """Traces in the topics under a prefix of their own.

    `gap` is the number of traces that begin between two records of one trace (see `traffic.stream`). `rate` is the
    number of records in a second of stream time: topics are written as fast as possible, with times at that rate.
    """

    name: str
    templates: Callable[[], Sequence[Template]]
    traces: int
    gap: int
    rate: int = 50_000

    @property
    def prefix(self) -> str:
        """The prefix of the topics' names."""
        return f"bench.{self.name}."

    def ensure(self, kafka: str, say: Callable[[str], None]) -> tuple[int, int]:
        """Make the load if it does not exist yet; returns the counts of its spans and log lines."""
        names = TopicNames(self.prefix)
        admin = AdminClient({"bootstrap.servers": kafka})
        templates = self.templates()
        expected = records_in(templates, self.traces)
        if (held(kafka, names.spans), held(kafka, names.logs)) != expected:
            say(f"making the load {self.name}: {sum(expected):,} records, once")
            self._drop(admin)
            # Batches keep this type of time stamp; `apply` then sets LogAppendTime, which the join requires.
            renew(admin, [names.spans, names.logs], {"message.timestamp.type": "CreateTime"})
            send(kafka, self._messages(templates, sum(expected)))
            apply(admin, self.settings(kafka))
        return expected

    def empty(self, kafka: str) -> None:
        """Delete its topics and create them again, empty."""
        admin = AdminClient({"bootstrap.servers": kafka})
        self._drop(admin)
        apply(admin, self.settings(kafka))

    def settings(self, kafka: str, **more: object) -> TopicSettings:
        """Return the settings of its topics."""
        return TopicSettings.load(
            kafka_bootstrap_servers=kafka,
            topic_prefix=self.prefix,
            partitions=PARTITIONS,
            retention=_FOREVER,
            **more,
        )

    def _drop(self, admin: AdminClient) -> None:
        there = admin.list_topics(timeout=_TIMEOUT).topics
        drop(admin, [topic for topic in there if topic.startswith(self.prefix)])

    def _messages(self, templates: Sequence[Template], records: int) -> Iterator["Message"]:
        names = TopicNames(self.prefix)
        start = time.time() * 1000 - records * 1000 / self.rate
        for number, (is_span, key, value) in enumerate(stream(templates, self.traces, self.gap)):
            yield Message(names.spans if is_span else names.logs, key, value, int(start + number * 1000 / self.rate))


class Message(NamedTuple):
    """A message of a load; `timestamp` is in milliseconds since 1970, 0 for now."""

    topic: str
    key: bytes | None
    value: bytes
    timestamp: int = 0


def send(kafka: str, messages: Iterable[Message]) -> None:
    """Send messages as fast as the broker takes them. Raises UserError if it does not take all."""
    producer = Producer(
        {
            "bootstrap.servers": kafka,
            "partitioner": PARTITIONER,
            "compression.type": "lz4",
            "linger.ms": 50,
            # Messages without a key are spread evenly: runs to one partition would let partitions get ahead of others.
            "sticky.partitioning.linger.ms": 0,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    for topic, key, value, timestamp in messages:
        while True:
            try:
                producer.produce(topic, value, key, timestamp=timestamp)
                break
            except BufferError:
                producer.poll(0.1)
    if producer.flush(60):
        raise UserError("Kafka did not take the load.")


def renew(admin: AdminClient, topics: Sequence[str], config: Mapping[str, str] | None = None) -> None:
    """Create topics again, empty and with unlimited retention; `config` has further settings of theirs."""
    there = admin.list_topics(timeout=_TIMEOUT).topics
    drop(admin, [topic for topic in topics if topic in there])
    new = [NewTopic(topic, PARTITIONS, 1, config={"retention.ms": "-1", **(config or {})}) for topic in topics]
    for future in admin.create_topics(new, operation_timeout=_TIMEOUT).values():
        future.result(_TIMEOUT)


def drop(admin: AdminClient, topics: Sequence[str]) -> None:
    """Delete topics and wait until they are gone."""
    for future in (admin.delete_topics(list(topics)) if topics else {}).values():
        future.result(_TIMEOUT)
    deadline = time.monotonic() + _TIMEOUT
    while set(topics) & admin.list_topics(timeout=_TIMEOUT).topics.keys():
        if time.monotonic() > deadline:
            raise UserError(f"Kafka did not delete {', '.join(topics)}.")
        time.sleep(0.1)


def held(kafka: str, topic: str) -> int:
    """Count the records of a topic by its offsets; 0 if it does not exist."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "bench"})
    try:
        numbers = consumer.list_topics(topic, timeout=_TIMEOUT).topics[topic].partitions
        asked = [TopicPartition(topic, one) for one in numbers]
        ends = [_RETRYING(consumer.get_watermark_offsets, one, timeout=_TIMEOUT) for one in asked]
        return sum(high - low for low, high in ends)
    finally:
        consumer.close()


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, KafkaException) and error.args[0].code() in PASSING


# A broker that has just started answers before it leads its partitions.
_RETRYING = Retrying(
    retry=retry_if_exception(_may_pass), wait=wait_fixed(0.2), stop=stop_after_delay(_TIMEOUT), reraise=True
)
