"""Topics of a test of its own, and what is in them."""

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from pipeline.kafka.admin import apply, connect
from pipeline.settings import TopicSettings
from tracelink.kafka.messages import LOGS, SPANS, UNLINKED_LOGS, EncodedRecord
from tracelink.kafka.topics import TopicNames
from tracelink.settings import KafkaSettings, PublisherSettings


def settings(kafka: str, topic_prefix: str, **more: object) -> PublisherSettings:
    return PublisherSettings.load(kafka_bootstrap_servers=kafka, topic_prefix=topic_prefix, **more)


def create(kafka: str, topic_prefix: str, *, partitions: int = 2, **more: object) -> None:
    wanted = TopicSettings.load(kafka_bootstrap_servers=kafka, topic_prefix=topic_prefix, partitions=partitions, **more)
    apply(connect(wanted), wanted)


def read(where: KafkaSettings) -> list[EncodedRecord]:
    """Read all that is in the topics of records now."""
    names = TopicNames(where.topic_prefix)
    kinds = {names.spans: SPANS, names.logs: LOGS, names.unlinked_logs: UNLINKED_LOGS}
    consumer = Consumer(
        {"bootstrap.servers": where.kafka_bootstrap_servers, "group.id": "unused", "enable.auto.commit": False}
    )
    try:
        topics = consumer.list_topics(timeout=10).topics
        wanted = [TopicPartition(name, p, OFFSET_BEGINNING) for name in kinds for p in topics[name].partitions]
        missing = sum(_end(consumer, one) for one in wanted)
        consumer.assign(wanted)
        found: list[EncodedRecord] = []
        while len(found) < missing:
            batch = consumer.consume(missing - len(found), timeout=10)
            assert batch, f"{len(found)} of {missing} messages within 10 s"
            for message in batch:
                assert message.error() is None
                topic, value, key = message.topic(), message.value(), message.key()
                assert topic is not None
                assert isinstance(value, bytes)
                assert key is None or isinstance(key, bytes)
                found.append(EncodedRecord(kinds[topic], topic, key, value))
        return found
    finally:
        consumer.close()


# A partition that was made a moment ago may have no leader yet.
@retry(retry=retry_if_exception_type(KafkaException), stop=stop_after_delay(10), wait=wait_fixed(0.1), reraise=True)
def _end(consumer: Consumer, partition: TopicPartition) -> int:
    return int(consumer.get_watermark_offsets(partition, timeout=10)[1])
