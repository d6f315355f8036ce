"""The exporters, as the SDK's processors drive them."""

from importlib.metadata import entry_points
from typing import Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import StatusCode
from prometheus_client import CollectorRegistry

from tracelink.metrics import PublisherMetrics
from tracelink.model.codec import LOG_RECORD, SPAN
from tracelink.model.records import Flag
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


def test_a_span_arrives_whatever_its_attributes_and_events_hold(
    publisher: MemoryPublisher, registry: CollectorRegistry
) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(TracelinkSpanExporter(publisher)))
    with provider.get_tracer("t").start_as_current_span("odd \ud800", start_time="soon") as span:  # type: ignore[arg-type]
        attributes: dict[str, Any] = {
            "raw": b"\xff\x00",
            "header": b"text/html",
            "ratio": float("nan"),
            "half \ud800": "\udfff",
            "huge": 2**70,
            "nested": {"a": [float("inf"), b"\xfe"]},
            "server.address": "stock \ud800",
            "server.port": True,
            "comment": "caf\u00e9\u2028au lait",
        }
        span.set_attributes(attributes)
        span.add_event("retry \ud800", {"n": float("nan")}, timestamp=0)
        span.add_event("late", timestamp="later")  # type: ignore[arg-type]  # no caller checks its types
        span.set_status(StatusCode.ERROR, "refused \udc00")
    found = SPAN.decode(publisher.messages[0].value)
    tags = found["tags"]
    expected = {"raw": "ff00", "header": "text/html", "ratio": "NaN", "half ?": "?", "huge": str(2**70)}
    assert tags.items() >= (expected | {"nested": '{"a":["Infinity","fe"]}', "error": "refused ?"}).items()
    assert tags["comment"] == "caf\u00e9\u2028au lait"
    assert found["name"] == "odd ?"
    assert found["timestamp"] is None
    assert tags["tracelink.invalid.timestamp"] == "soon"
    assert found["annotations"] == [{"timestamp": 0, "value": '"retry ?": {"n":"NaN"}'}]
    assert tags["tracelink.invalid.annotations.1"] == '{"timestamp":"later","value":"late"}'
    assert found["flags"] & Flag.ERROR
    assert registry.get_sample_value("tracelink_publisher_dropped_records_total", {"reason": "invalid"}) is None


@pytest.mark.parametrize("count", [1, 100])
def test_an_errored_span_with_immense_attributes_arrives_and_says_so(publisher: MemoryPublisher, count: int) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(TracelinkSpanExporter(publisher)))
    with provider.get_tracer("t").start_as_current_span("upload") as span:
        for number in range(count):
            span.set_attribute(f"body{number}", "x" * (1_200_000 // count))
        span.set_attribute("order", "o-1")
        span.set_status(StatusCode.ERROR, "refused")
    (message,) = publisher.messages
    tags = SPAN.decode(message.value)["tags"]
    assert 1_000_000 < len(message.value) < 1024 * 1024
    assert (tags["error"], tags["order"]) == ("refused", "o-1")
    assert f" ({1_200_000 // count} bytes)" in tags["tracelink.truncated"]
    assert all(f"body{number}" in tags for number in range(count))


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
