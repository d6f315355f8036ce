"""The exporters, as the SDK's processors drive them."""

from importlib.metadata import entry_points

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from prometheus_client import CollectorRegistry

from tracelink.metrics import PublisherMetrics
from tracelink.model.codec import LOG_RECORD, SPAN
from tracelink.otel import TracelinkLogExporter, TracelinkSpanExporter
from tracelink.settings import PublisherSettings
from tracelink.testing import MemoryPublisher


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def publisher(registry: CollectorRegistry) -> MemoryPublisher:
    return MemoryPublisher(PublisherSettings.load(), PublisherMetrics(registry))


def test_spans_of_the_sdk_are_published(publisher: MemoryPublisher) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(TracelinkSpanExporter(publisher)))
    tracer = provider.get_tracer("t")
    with tracer.start_as_current_span("outer") as outer, tracer.start_as_current_span("inner"):
        pass
    inner, root = (SPAN.decode(message.value) for message in publisher.messages)
    assert (inner["name"], root["name"]) == ("inner", "outer")
    assert inner["parentId"] == root["id"] == f"{outer.get_span_context().span_id:016x}"


def test_a_publisher_that_was_given_stays_open_when_the_exporter_is_shut_down(publisher: MemoryPublisher) -> None:
    exporter = TracelinkSpanExporter(publisher)
    exporter.shutdown()
    publisher.publish_span({"flags": 0, "traceId": b"\1" * 16, "id": "1"})
    assert len(publisher.messages) == 1


def test_log_records_of_the_sdk_are_published_each_under_an_id_of_its_own(publisher: MemoryPublisher) -> None:
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(TracelinkLogExporter(publisher)))
    for _ in range(3):
        provider.get_logger("shop").emit(body="same", timestamp=1)
    records = [LOG_RECORD.decode(message.value) for message in publisher.messages]
    assert [record["message"] for record in records] == ["same"] * 3
    assert len({record["id"] for record in records}) == 3


def test_a_span_that_cannot_be_mapped_is_dropped_and_the_batch_goes_on(
    publisher: MemoryPublisher, registry: CollectorRegistry
) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    exporter = TracelinkSpanExporter(publisher)
    good = provider.get_tracer("t").start_span("good")
    exporter.export([object(), good])  # type: ignore[list-item]  # what a broken processor would pass
    assert len(publisher.messages) == 1
    assert registry.get_sample_value("tracelink_publisher_dropped_records_total", {"reason": "invalid"}) == 1


@pytest.mark.parametrize(
    ("group", "exporter"),
    [
        ("opentelemetry_traces_exporter", TracelinkSpanExporter),
        ("opentelemetry_logs_exporter", TracelinkLogExporter),
    ],
)
def test_the_entry_points_name_exporters_that_need_no_arguments(
    group: str, exporter: type[TracelinkSpanExporter | TracelinkLogExporter], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACELINK_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("TRACELINK_FLUSH_TIMEOUT", "0")
    (point,) = entry_points(group=group, name="tracelink")
    made = point.load()()
    assert isinstance(made, exporter)
    made.shutdown()
