"""Real clients send to the gateway, each at its defaults; their records are those that `tracelink.setup` would make."""

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import opentelemetry.exporter.otlp.proto.grpc._log_exporter as otlp_grpc_logs
import opentelemetry.exporter.otlp.proto.grpc.trace_exporter as otlp_grpc
import pytest
import urllib3
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from py_zipkin.encoding._types import Encoding
from py_zipkin.zipkin import zipkin_span

from tests.kit.gateway import Running
from tests.kit.kafka_topics import read
from tracelink.model.codec import LOG_RECORD, SPAN
from tracelink.model.records import Flag
from tracelink.settings import KafkaSettings

_RESOURCE = Resource({"service.name": "checkout", "deployment.environment": "test"})


def _of_trace(where: KafkaSettings, trace_id: str) -> tuple[list[Any], list[Any]]:
    """Return the spans and the log records of a trace."""
    found = [one for one in read(where) if one.key == trace_id.encode()]
    spans = [SPAN.decode(one.value) for one in found if one.topic.endswith("spans")]
    return spans, [LOG_RECORD.decode(one.value) for one in found if one.topic.endswith("logs")]


def _http(door: Running, compression: Compression | None) -> tuple[SpanExporter, LogRecordExporter]:
    return (
        OTLPSpanExporter(f"{door.url}/v1/traces", compression=compression),
        OTLPLogExporter(f"{door.url}/v1/logs", compression=compression),
    )


def _grpc(door: Running, compression: grpc.Compression) -> tuple[SpanExporter, LogRecordExporter]:
    return (
        otlp_grpc.OTLPSpanExporter(door.grpc, insecure=True, compression=compression),
        otlp_grpc_logs.OTLPLogExporter(door.grpc, insecure=True, compression=compression),
    )


@pytest.mark.parametrize(
    "exporters",
    [
        lambda door: _http(door, None),
        lambda door: _http(door, Compression.Gzip),
        lambda door: _grpc(door, grpc.Compression.NoCompression),
        lambda door: _grpc(door, grpc.Compression.Gzip),
    ],
    ids=["http", "http-gzip", "grpc", "grpc-gzip"],
)
def test_opentelemetrys_exporters(
    door: Running, where: KafkaSettings, exporters: Callable[[Running], tuple[SpanExporter, LogRecordExporter]]
) -> None:
    of_spans, of_logs = exporters(door)
    spans = TracerProvider(resource=_RESOURCE)
    spans.add_span_processor(BatchSpanProcessor(of_spans))
    logs = LoggerProvider(resource=_RESOURCE)
    logs.add_log_record_processor(BatchLogRecordProcessor(of_logs))
    logger = logs.get_logger("shop.cart")
    tracer = spans.get_tracer("shop", "1.0")
    with tracer.start_as_current_span("checkout", kind=SpanKind.SERVER, attributes={"cart.size": 3}) as root:
        logger.emit(severity_number=SeverityNumber.WARN, severity_text="WARN", body="the card expires")
        with tracer.start_as_current_span("charge", kind=SpanKind.CLIENT) as child:
            child.set_status(StatusCode.ERROR, "declined")
            logger.emit(severity_number=SeverityNumber.ERROR, severity_text="ERROR", body="declined")
    assert spans.force_flush()
    assert logs.force_flush()
    spans.shutdown()
    logs.shutdown()
    found, lines = _of_trace(where, f"{root.get_span_context().trace_id:032x}")
    by_name = {one["name"]: one for one in found}
    assert len(found) == 2
    assert by_name["charge"]["parentId"] == by_name["checkout"]["id"]
    assert by_name["charge"]["flags"] == Flag.ERROR
    assert by_name["charge"]["tags"]["error"] == "declined"
    assert by_name["checkout"]["flags"] == Flag.ROOT
    assert by_name["checkout"]["localEndpoint"]["serviceName"] == "checkout"
    assert by_name["checkout"]["tags"].items() >= {"cart.size": "3", "deployment.environment": "test"}.items()
    assert {(one["level"], one["message"], one["service"]) for one in lines} == {
        ("WARN", "the card expires", "checkout"),
        ("ERROR", "declined", "checkout"),
    }
    assert len({one["id"] for one in lines}) == 2
    assert {one["logger"] for one in lines} == {"shop.cart"}
    assert {one["spanId"] for one in lines} == {one["id"] for one in found}


@pytest.fixture
def pool() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False) as pool:
        yield pool


@pytest.mark.parametrize(
    ("encoding", "content_type"),
    [
        (Encoding.V2_JSON, "application/json"),
        (Encoding.V1_JSON, "application/json"),
        (Encoding.V2_PROTO3, "application/x-protobuf"),
    ],
    ids=["json", "json-v1", "proto3"],
)
def test_py_zipkin(
    door: Running, where: KafkaSettings, pool: urllib3.PoolManager, encoding: Encoding, content_type: str
) -> None:
    version = "v1" if encoding is Encoding.V1_JSON else "v2"

    def send(body: bytes | str) -> None:
        answer = pool.request(
            "POST", f"{door.url}/api/{version}/spans", body=body, headers={"Content-Type": content_type}
        )
        assert answer.status == 202, answer.data

    with zipkin_span("checkout", "post /orders", transport_handler=send, sample_rate=100.0, encoding=encoding) as root:
        attributes = root.zipkin_attrs
        assert attributes is not None
        assert attributes.trace_id is not None
        assert attributes.span_id is not None
        with zipkin_span("checkout", "charge", binary_annotations={"error": "declined"}):
            pass
    found, _ = _of_trace(where, attributes.trace_id.zfill(32))
    by_name = {one["name"]: one for one in found}
    assert by_name.keys() == {"post /orders", "charge"}
    assert by_name["charge"]["parentId"] == by_name["post /orders"]["id"] == attributes.span_id.zfill(16)
    assert by_name["charge"]["flags"] & Flag.ERROR
    assert {one["localEndpoint"]["serviceName"] for one in found} == {"checkout"}
