"""Sending to and reading from topics of a test."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from confluent_kafka import OFFSET_BEGINNING as BEGINNING
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from tests.kit.waiting import wait_for
from tracelink.kafka.client import PARTITIONER


def publish(servers: str, topic: str, messages: Iterable[tuple[bytes | None, bytes | None]]) -> None:
    """Send (key, value) pairs and wait until the broker has them."""
    failed: list[KafkaError] = []
    producer = Producer({"bootstrap.servers": servers, "partitioner": PARTITIONER, "linger.ms": 5})
    for key, value in messages:
        producer.produce(topic, value, key, on_delivery=lambda error, _: failed.append(error) if error else None)
    assert producer.flush(30) == 0
    assert not failed


@contextmanager
def reading(servers: str, topic: str) -> Iterator[Consumer]:
    """Read a topic whole, from its beginning, committed records only."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": f"{topic}.test",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "reconnect.backoff.max.ms": 1_000,
            "log_level": 0,  # of a broker that a test takes away there is nothing to say
        }
    )
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, BEGINNING) for number in partitions])
    try:
        yield consumer
    finally:
        consumer.close()


def read_until(servers: str, topic: str, enough: int, *, seconds: float = 30.0) -> list[Message]:
    """Return a topic's records once there are at least so many."""
    found: list[Message] = []
    with reading(servers, topic) as consumer:

        def probe() -> bool:
            found.extend(message for message in consumer.consume(1000, 0.1) if message.error() is None)
            return len(found) >= enough

        wait_for(f"{enough} records in {topic}, there are {len(found)}", probe, seconds=seconds)
    return found


def read_all(servers: str, topic: str) -> list[Message]:
    """Return what a topic holds now, up to the end of each of its partitions."""
    found: list[Message] = []
    with reading(servers, topic) as consumer:
        unread = {one.partition for one in consumer.assignment()}

        def probe() -> bool:
            for message in consumer.consume(1000, 0.1):
                error = message.error()
                if error is None:
                    found.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - confluent-kafka's name for it
                    unread.discard(message.partition() or 0)
            return not unread

        wait_for(f"the end of {topic}", probe)
    return found
