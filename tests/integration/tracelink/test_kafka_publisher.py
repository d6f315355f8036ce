"""What Kafka's publisher alone promises: it never blocks, keeps its books, and lives through forks and exits."""

import subprocess
import sys
import textwrap
import time

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from prometheus_client import CollectorRegistry

from pipeline.kafka.admin import connect
from pipeline.local.stack import Endpoints
from tests.kit.kafka_topics import create, read, settings
from tests.kit.waiting import wait_for
from tracelink.errors import UserError
from tracelink.kafka.topics import TopicNames
from tracelink.metrics import PublisherMetrics
from tracelink.model.codec import SPAN
from tracelink.model.records import Span
from tracelink.publisher import KafkaPublisher
from tracelink.settings import PublisherSettings

NOBODY = "127.0.0.1:1"
SPAN_A: Span = {"flags": 0, "traceId": bytes(15) + b"\1", "id": "000000000000000a"}


def count(registry: CollectorRegistry, name: str, **labels: str) -> int:
    return int(registry.get_sample_value(f"tracelink_publisher_{name}_total", labels) or 0)


def test_a_service_whose_kafka_is_away_is_not_held_up_and_its_drops_are_counted() -> None:
    registry = CollectorRegistry()
    away = PublisherSettings.load(kafka_bootstrap_servers=NOBODY, buffer_records=100, flush_timeout=0.2)
    start = time.monotonic()
    publisher = KafkaPublisher(away, PublisherMetrics(registry), close_at_exit=False)
    for _ in range(1000):
        publisher.publish_span(SPAN_A)
    assert time.monotonic() - start < 2
    assert count(registry, "dropped_records", reason="buffer_full") == 900
    assert not publisher.flush(0.1)
    publisher.close()
    assert time.monotonic() - start < 5
    assert count(registry, "dropped_records", reason="undelivered") == 100
    assert count(registry, "records", kind="span") == 1000


def test_what_the_broker_refuses_is_not_counted_as_delivered(stack: Endpoints, topic_prefix: str) -> None:
    create(stack.kafka, topic_prefix)
    where = settings(stack.kafka, topic_prefix)
    entry = ConfigEntry("max.message.bytes", "1000", incremental_operation=AlterConfigOpType.SET)
    spans = ConfigResource(ResourceType.TOPIC, TopicNames(topic_prefix).spans, incremental_configs=[entry])
    admin = connect(where)  # a name for it: without one it is closed before it answers
    admin.incremental_alter_configs([spans])[spans].result(10)
    registry = CollectorRegistry()
    publisher = KafkaPublisher(where, PublisherMetrics(registry), close_at_exit=False)
    for name in ("small", "".join(map(str, range(3000))), "small"):
        publisher.publish_span(SPAN_A | {"name": name})
        assert publisher.flush(20)
    assert count(registry, "delivered_records") == len(read(where)) == 2
    assert count(registry, "dropped_records", reason="too_large") == 1
    publisher.close()
    assert count(registry, "delivered_records") == 2


def test_what_is_delivered_is_counted_without_a_flush(stack: Endpoints, topic_prefix: str) -> None:
    create(stack.kafka, topic_prefix)
    registry = CollectorRegistry()
    publisher = KafkaPublisher(settings(stack.kafka, topic_prefix), PublisherMetrics(registry), close_at_exit=False)
    for _ in range(100):
        publisher.publish_span(SPAN_A)
    wait_for("100 delivered", lambda: count(registry, "delivered_records") == 100)
    publisher.close()


def test_a_wrong_kafka_property_is_the_users_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACELINK_KAFKA_LINGER_MS", "soon")
    with pytest.raises(UserError, match="A Kafka property is wrong"):
        KafkaPublisher(PublisherSettings.load(), PublisherMetrics(CollectorRegistry()))


def test_a_property_that_delivery_rests_on_cannot_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACELINK_KAFKA_ACKS", "1")
    with pytest.raises(UserError, match="acks"):
        KafkaPublisher(PublisherSettings.load(), PublisherMetrics(CollectorRegistry()))


def test_what_is_buffered_is_handed_over_when_the_interpreter_ends(stack: Endpoints, topic_prefix: str) -> None:
    create(stack.kafka, topic_prefix)
    service = f"""
        from prometheus_client import CollectorRegistry
        from tracelink.metrics import PublisherMetrics
        from tracelink.publisher import KafkaPublisher
        from tracelink.settings import PublisherSettings
        settings = PublisherSettings.load(kafka_bootstrap_servers={stack.kafka!r}, topic_prefix={topic_prefix!r})
        publisher = KafkaPublisher(settings, PublisherMetrics(CollectorRegistry()))
        for _ in range(50):
            publisher.publish_span({SPAN_A!r})
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(service)], check=True, timeout=60)
    assert [message.value for message in read(settings(stack.kafka, topic_prefix))] == [SPAN.encode(SPAN_A)] * 50


def test_a_forked_child_publishes_what_is_its_own_and_the_parent_goes_on(stack: Endpoints, topic_prefix: str) -> None:
    create(stack.kafka, topic_prefix)
    service = f"""
        import os, sys
        from prometheus_client import CollectorRegistry
        from tracelink.metrics import PublisherMetrics
        from tracelink.publisher import KafkaPublisher
        from tracelink.settings import PublisherSettings

        def counted(name, **labels):
            return registry.get_sample_value(f"tracelink_publisher_{{name}}_total", labels)

        registry = CollectorRegistry()
        settings = PublisherSettings.load(kafka_bootstrap_servers={stack.kafka!r}, topic_prefix={topic_prefix!r})
        publisher = KafkaPublisher(settings, PublisherMetrics(registry))
        publisher.publish_span({SPAN_A!r} | {{"name": "before"}})  # still in the parent's buffer when it forks
        child = os.fork()
        publisher.publish_span({SPAN_A!r} | {{"name": "after"}})
        assert publisher.flush(20)
        assert counted("records", kind="span") == counted("delivered_records") == (2 if child else 1)
        if child:
            assert os.waitpid(child, 0)[1] == 0
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(service)], check=True, timeout=60)
    names = sorted(str(SPAN.decode(message.value)["name"]) for message in read(settings(stack.kafka, topic_prefix)))
    assert names == ["after", "after", "before"]
