"""Whether a group has members, as the watchdog asks a real Kafka."""

from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer

from pipeline.local.stack import Endpoints
from pipeline.runtime import watchdog
from pipeline.runtime.watchdog import Members
from tests.kit.kafka_topics import create
from tests.kit.waiting import eventually
from tracelink.errors import Unavailable
from tracelink.settings import KafkaSettings


@pytest.fixture
def member(stack: Endpoints, topic_prefix: str) -> Iterator[Consumer]:
    create(stack.kafka, topic_prefix, join_group=f"{topic_prefix}join")
    consumer = Consumer({"bootstrap.servers": stack.kafka, "group.id": f"{topic_prefix}group"})
    consumer.subscribe([f"{topic_prefix}traces"])
    yield consumer
    consumer.close()


def test_a_group_is_empty_before_it_has_members_and_after(
    stack: Endpoints, topic_prefix: str, member: Consumer
) -> None:
    members = Members(KafkaSettings.load(kafka_bootstrap_servers=stack.kafka), f"{topic_prefix}group")

    def is_empty() -> bool | None:
        member.poll(0.1)
        try:
            return members.is_empty()
        except Unavailable:  # a young broker looks for its coordinators
            return None

    assert Members(KafkaSettings.load(kafka_bootstrap_servers=stack.kafka), f"{topic_prefix}none").is_empty()
    eventually(lambda: is_empty() is False)
    member.unsubscribe()
    eventually(lambda: is_empty() is True)


def test_of_a_kafka_that_is_away_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "_ASK_TIMEOUT", 0.5)
    with pytest.raises(Unavailable, match="Kafka does not return the members of the group g"):
        Members(KafkaSettings.load(kafka_bootstrap_servers="127.0.0.1:1"), "g").is_empty()
