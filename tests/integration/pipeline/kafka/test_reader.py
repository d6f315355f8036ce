"""Stretches of partitions, against a real Kafka: their records, each once, and where they end."""

import uuid
from collections.abc import Mapping

import pytest
from confluent_kafka import IsolationLevel, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from pipeline.kafka.admin import connect
from pipeline.kafka.offsets import OffsetLookup, OffsetRange
from pipeline.kafka.reader import Reader
from pipeline.local.stack import Endpoints
from tests.kit.waiting import wait_for
from tracelink.errors import UserError
from tracelink.kafka.topics import PartitionId
from tracelink.settings import KafkaSettings

HOUR = 3_600_000
START = 1_767_225_600_000


@pytest.fixture
def settings(stack: Endpoints) -> KafkaSettings:
    return KafkaSettings.load(kafka_bootstrap_servers=stack.kafka)


@pytest.fixture
def admin(settings: KafkaSettings) -> AdminClient:
    return connect(settings)


@pytest.fixture
def topic(admin: AdminClient, topic_prefix: str) -> str:
    name = f"{topic_prefix}stretches"
    admin.create_topics([NewTopic(name, 2, 1, config={"retention.ms": "-1"})])[name].result(30)
    return name


def produce(brokers: str, topic: str, *values: str, partition: int = 0, start: int = START) -> None:
    """Send records an hour apart."""
    producer = Producer({"bootstrap.servers": brokers})
    for number, value in enumerate(values):
        producer.produce(topic, value.encode(), partition=partition, timestamp=start + number * HOUR)
    assert producer.flush(20) == 0


def produce_in_transaction(brokers: str, topic: str, *values: str, commit: bool) -> None:
    producer = Producer({"bootstrap.servers": brokers, "transactional.id": uuid.uuid4().hex})
    producer.init_transactions(20)
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value.encode(), partition=0)
    producer.flush(20)
    (producer.commit_transaction if commit else producer.abort_transaction)(20)


def read(settings: KafkaSettings, offset_ranges: Mapping[PartitionId, OffsetRange]) -> dict[PartitionId, list[str]]:
    """Read stretches to their ends."""
    found: dict[PartitionId, list[str]] = {}
    with Reader(settings, "test", offset_ranges) as reader:

        def at_end() -> bool:
            for partition, messages in reader.poll(0.1):
                found.setdefault(partition, []).extend((message.value() or b"").decode() for message in messages)
            return not reader.unread

        wait_for("the ends of the stretches", at_end)
        assert reader.positions == {one: offset_range.end for one, offset_range in offset_ranges.items()}
    return found


def test_each_partition_is_read_in_its_order_from_the_start_to_before_the_end(
    settings: KafkaSettings, topic: str
) -> None:
    produce(settings.kafka_bootstrap_servers, topic, *"abcdef")
    produce(settings.kafka_bootstrap_servers, topic, *"ghij", partition=1)
    assert read(settings, {(topic, 0): OffsetRange(2, 5), (topic, 1): OffsetRange(0, 4)}) == {
        (topic, 0): ["c", "d", "e"],
        (topic, 1): ["g", "h", "i", "j"],
    }


def test_a_stretch_without_records_is_at_its_end_at_once(settings: KafkaSettings, topic: str) -> None:
    with Reader(settings, "test", {(topic, 0): OffsetRange(0, 0), (topic, 1): OffsetRange(7, 7)}) as reader:
        assert not reader.unread
    with Reader(settings, "test", {}) as reader:
        assert reader.poll(0.01) == []


def test_aborted_records_and_the_marks_of_transactions_are_passed_over(
    settings: KafkaSettings, admin: AdminClient, topic: str
) -> None:
    brokers, partition = settings.kafka_bootstrap_servers, (topic, 0)
    produce_in_transaction(brokers, topic, "a", "b", commit=True)
    produce_in_transaction(brokers, topic, "lost", commit=False)
    produce_in_transaction(brokers, topic, "c", commit=True)
    produce_in_transaction(brokers, topic, "lost", "too", commit=False)
    lookup, end = OffsetLookup(admin), 10
    # The broker writes the last mark after it has answered.
    wait_for("the end of the last transaction", lambda: lookup.ends([partition]) == {partition: end})
    assert read(settings, {partition: OffsetRange(0, end)}) == {partition: ["a", "b", "c"]}
    # An end among what was aborted, or right behind the last record, is one too.
    for within in range(3, end):
        assert read(settings, {partition: OffsetRange(0, within)})[partition][:2] == ["a", "b"]
    assert read(settings, {partition: OffsetRange(2, 5)}) == {}


def test_the_end_lies_before_a_transaction_that_is_open(
    settings: KafkaSettings, admin: AdminClient, topic: str
) -> None:
    produce(settings.kafka_bootstrap_servers, topic, "a")
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap_servers, "transactional.id": topic})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(topic, b"open", partition=0)
    producer.flush(20)
    produce(settings.kafka_bootstrap_servers, topic, "behind")
    try:
        assert OffsetLookup(admin).ends([(topic, 0)]) == {(topic, 0): 1}
        assert read(settings, {(topic, 0): OffsetRange(0, 1)}) == {(topic, 0): ["a"]}
    finally:
        producer.abort_transaction(20)


def test_a_finished_partition_is_read_no_more(settings: KafkaSettings, topic: str) -> None:
    count = 3000  # more than one poll takes
    produce(settings.kafka_bootstrap_servers, topic, *map(str, range(count)))
    produce(settings.kafka_bootstrap_servers, topic, *map(str, range(count)), partition=1)
    seen: dict[PartitionId, int] = {}
    with Reader(settings, "test", {(topic, 0): OffsetRange(0, count), (topic, 1): OffsetRange(0, count)}) as reader:

        def at_end() -> bool:
            for partition, messages in reader.poll(0.1):
                assert partition in reader.unread or partition == (topic, 1) or not seen.get(partition)
                seen[partition] = seen.get(partition, 0) + len(messages)
                if partition == (topic, 0):
                    reader.finish(partition)
            return not reader.unread

        wait_for("the end of the other partition", at_end)
        assert reader.poll(0.1) == []
        assert reader.positions[topic, 0] < count
    assert seen[topic, 1] == count
    assert seen[topic, 0] < count


def test_retention_that_has_passed_what_is_to_be_read_is_said(
    settings: KafkaSettings, admin: AdminClient, topic: str
) -> None:
    produce(settings.kafka_bootstrap_servers, topic, *"abc")
    admin.delete_records([TopicPartition(topic, 0, 2)])[TopicPartition(topic, 0)].result(20)
    assert OffsetLookup(admin).begins([(topic, 0)]) == {(topic, 0): 2}
    with pytest.raises(UserError) as refused:
        read(settings, {(topic, 0): OffsetRange(0, 3)})
    assert refused.value.message == f"{topic}[0] has no offset 0 any more: retention has deleted records of the range."
    assert read(settings, {(topic, 0): OffsetRange(2, 3)}) == {(topic, 0): ["c"]}


def test_a_time_is_found_in_each_partition_and_behind_the_last_record_the_end(
    settings: KafkaSettings, admin: AdminClient, topic: str
) -> None:
    produce(settings.kafka_bootstrap_servers, topic, *"abc")
    produce(settings.kafka_bootstrap_servers, topic, *"d", partition=1)
    lookup, both = OffsetLookup(admin), [(topic, 0), (topic, 1)]
    assert lookup.partitions(topic) == both
    for milliseconds, offsets in [
        (-1, [0, 0]),
        (START, [0, 0]),
        (START + 1, [1, 1]),
        (START + 2 * HOUR, [2, 1]),
        (START + 2 * HOUR + 1, [3, 1]),
    ]:
        assert lookup.at(both, milliseconds) == dict(zip(both, offsets, strict=True))
    assert lookup.at([], START) == {}
    assert lookup.ends([(topic, 1)]) == {(topic, 1): 1}


def test_a_topic_that_is_not_there_is_said_and_not_made(admin: AdminClient, topic_prefix: str) -> None:
    for _ in range(2):
        with pytest.raises(UserError, match=f"Kafka has no topic {topic_prefix}none"):
            OffsetLookup(admin).partitions(f"{topic_prefix}none")
    assert f"{topic_prefix}none" not in admin.list_topics(timeout=10).topics


def test_a_broker_that_is_away_is_said(topic_prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.kafka.offsets._TIMEOUT", 0.5)
    away = OffsetLookup(AdminClient({"bootstrap.servers": "127.0.0.1:1", "log_level": 0}))
    with pytest.raises(UserError, match="Kafka does not answer"):
        away.partitions(f"{topic_prefix}none")


def test_a_leader_that_is_not_known_yet_is_asked_for_again(
    settings: KafkaSettings, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    produce(settings.kafka_bootstrap_servers, topic, "a")
    refusals = [KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION), KafkaError(KafkaError.LEADER_NOT_AVAILABLE)]
    lookup = OffsetLookup(connect(settings))
    once = lookup._ask_once  # noqa: SLF001 - what a broker answers for a moment only

    def ask_once(asked: Mapping[PartitionId, OffsetSpec], level: IsolationLevel) -> dict[PartitionId, int]:
        if refusals:
            raise KafkaException(refusals.pop())
        return once(asked, level)

    monkeypatch.setattr(lookup, "_ask_once", ask_once)
    assert lookup.ends([(topic, 0)]) == {(topic, 0): 1}
    refusals.append(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    with pytest.raises(UserError, match="Kafka does not answer"):
        lookup.ends([(topic, 0)])
