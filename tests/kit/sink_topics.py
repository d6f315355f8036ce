"""Topics of a test's own, and what lies in them."""

import uuid
from typing import cast

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka import Message as KafkaMessage

from pipeline.kafka.admin import apply, connect
from pipeline.kafka.offsets import group_offsets
from pipeline.settings import TopicSettings
from tests.kit.waiting import eventually
from tracelink.kafka.topics import TopicNames


class Topics:
    """The topics under a prefix."""

    def __init__(self, brokers: str, prefix: str, partitions: int = 2) -> None:
        self.names = TopicNames(prefix)
        self.brokers = brokers
        self._settings = TopicSettings.load(kafka_bootstrap_servers=brokers, topic_prefix=prefix, partitions=partitions)
        apply(connect(self._settings), self._settings)

    def produce(self, topic: str, *values: bytes, partition: int = 0) -> None:
        producer = Producer({"bootstrap.servers": self.brokers})
        for value in values:
            producer.produce(topic, value, b"key", partition=partition)
        assert producer.flush(20) == 0

    def produce_in_transaction(self, topic: str, value: bytes, *, commit: bool) -> None:
        producer = Producer({"bootstrap.servers": self.brokers, "transactional.id": uuid.uuid4().hex})
        producer.init_transactions(20)
        producer.begin_transaction()
        producer.produce(topic, value, b"key", partition=0)
        producer.flush(20)
        (producer.commit_transaction if commit else producer.abort_transaction)(20)

    def committed(self, group: str, topic: str, partition: int = 0) -> int:
        """Return the offset that a group has committed; -1001 where it has none."""
        return group_offsets(self._settings, group, [(topic, partition)], stable=False)[topic, partition].offset

    def messages(self, topic: str, count: int) -> list[KafkaMessage]:
        """Return all messages of a topic, once there are at least `count`."""
        consumer = Consumer(
            {"bootstrap.servers": self.brokers, "group.id": uuid.uuid4().hex, "enable.auto.commit": False}
        )
        try:
            partitions = consumer.list_topics(topic, timeout=20).topics[topic].partitions
            consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
            found: list[KafkaMessage] = []

            def enough() -> bool:
                message = consumer.poll(0.2)
                if message is not None and message.error() is None:
                    found.append(message)
                # One poll more than needed shows what should not be there.
                return message is None and len(found) >= count

            eventually(enough)
            return found
        finally:
            consumer.close()


def headers_of(message: KafkaMessage) -> dict[str, bytes]:
    return dict(cast("list[tuple[str, bytes]]", message.headers() or []))
