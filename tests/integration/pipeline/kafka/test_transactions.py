"""Transactions, against a real Kafka: all of what was sent goes out, or nothing."""

import os
from contextlib import suppress
from threading import Event

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import NewTopic

from pipeline.kafka.admin import connect
from pipeline.kafka.transactions import Aborted, Transactions
from pipeline.local.stack import Endpoints
from tests.kit.kafka import read_all
from tests.kit.waiting import wait_for
from tracelink.settings import KafkaSettings


def test_a_message_that_the_broker_refuses_undoes_its_transaction_alone(stack: Endpoints, topic_prefix: str) -> None:
    topic, group = f"{topic_prefix}small", f"{topic_prefix}group"
    admin = connect(KafkaSettings(kafka_bootstrap_servers=stack.kafka))
    admin.create_topics([NewTopic(topic, 1, 1, config={"max.message.bytes": "2000"})])[topic].result(30)
    properties = {"bootstrap.servers": stack.kafka, "transactional.id": topic, "message.max.bytes": 100_000}
    transactions = Transactions(properties, Event())
    transactions.start()
    member = Consumer({"bootstrap.servers": stack.kafka, "group.id": group})
    try:

        def commit() -> None:
            transactions.flush()
            transactions.commit([TopicPartition(topic, 0, 1)], member.consumer_group_metadata())

        transactions.send(topic, None, b"small")
        transactions.send(topic, None, os.urandom(50_000))
        with pytest.raises(Aborted):
            commit()
        assert read_all(stack.kafka, topic) == []

        def goes_on() -> bool:
            transactions.send(topic, None, b"again")
            with suppress(Aborted):  # librdkafka has lost count of the partition's messages, and starts anew
                commit()
                return True
            return False

        wait_for("the next transaction to commit", goes_on)
        assert [message.value() for message in read_all(stack.kafka, topic)] == [b"again"]
    finally:
        member.close()
