"""Real clients send to the gateway, each at its defaults; their records are those that `tracelink.setup` would make."""

import time
from collections.abc import Callable, Iterator

import grpc
import opentelemetry.exporter.otlp.common.http as otlp_common
import opentelemetry.exporter.otlp.json.http._log_exporter as otlp_json_logs
import opentelemetry.exporter.otlp.json.http.trace_exporter as otlp_json
import pytest
import urllib3
from opentelemetry._logs import Logger, SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode
from py_zipkin.encoding._types import Encoding
from py_zipkin.zipkin import zipkin_span

from tests.integration.producers.gateway.arrivals import Arrivals
from tests.kit.exporters import Exporters, over_grpc, over_http
from tests.kit.gateway import Running
from tracelink.model.records import Flag

_RESOURCE = Resource({"service.name": "checkout", "deployment.environment": "test"})


def _json(door: Running, compression: otlp_common.Compression) -> Exporters:
    return (
        otlp_json.OTLPSpanExporter(f"{door.url}/v1/traces", compression=compression),
        otlp_json_logs.OTLPLogExporter(f"{door.url}/v1/logs", compression=compression),
    )


@pytest.mark.parametrize(
    "exporters",
    [
        lambda door: over_http(door.url),
        lambda door: over_http(door.url, Compression.Gzip),
        lambda door: _json(door, otlp_common.Compression.NONE),
        lambda door: _json(door, otlp_common.Compression.GZIP),
        lambda door: over_grpc(door.grpc, grpc.Compression.NoCompression),
        lambda door: over_grpc(door.grpc, grpc.Compression.Gzip),
    ],
    ids=["http", "http-gzip", "json", "json-gzip", "grpc", "grpc-gzip"],
)
def test_opentelemetrys_exporters(door: Running, arrivals: Arrivals, exporters: Callable[[Running], Exporters]) -> None:
    of_spans, of_logs = exporters(door)
    spans = TracerProvider(resource=_RESOURCE)
    spans.add_span_processor(BatchSpanProcessor(of_spans))
    logs = LoggerProvider(resource=_RESOURCE)
    logs.add_log_record_processor(BatchLogRecordProcessor(of_logs))
    logger = logs.get_logger("shop.cart")
    tracer = spans.get_tracer("shop", "1.0")
    begun = time.time_ns() // 1000
    with tracer.start_as_current_span(
        "checkout", kind=SpanKind.SERVER, attributes={"cart.size": 3}, start_time=begun * 1000, end_on_exit=False
    ) as root:
        _emit(logger, SeverityNumber.WARN, "the card expires", begun + 10)
        with tracer.start_as_current_span(
            "charge", kind=SpanKind.CLIENT, start_time=(begun + 20) * 1000, end_on_exit=False
        ) as child:
            child.set_status(StatusCode.ERROR, "declined")
            _emit(logger, SeverityNumber.ERROR, "declined", begun + 30)
        child.end((begun + 40) * 1000)
    root.end((begun + 50) * 1000)
    assert spans.force_flush()
    assert logs.force_flush()
    spans.shutdown()
    logs.shutdown()
    trace_id = root.get_span_context().trace_id.to_bytes(16, "big")
    ids = {"checkout": f"{root.get_span_context().span_id:016x}", "charge": f"{child.get_span_context().span_id:016x}"}
    of_span = {"traceId": trace_id, "localEndpoint": {"serviceName": "checkout"}}
    tags = {"deployment.environment": "test", "otel.scope.name": "shop", "otel.scope.version": "1.0"}
    assert arrivals.spans() == [
        of_span
        | {
            "flags": Flag.ERROR,
            "id": ids["charge"],
            "parentId": ids["checkout"],
            "kind": "CLIENT",
            "name": "charge",
            "timestamp": begun + 20,
            "duration": 20,
            "tags": tags | {"otel.status_code": "ERROR", "error": "declined"},
        },
        of_span
        | {
            "flags": Flag.ROOT,
            "id": ids["checkout"],
            "kind": "SERVER",
            "name": "checkout",
            "timestamp": begun,
            "duration": 50,
            "tags": tags | {"cart.size": "3"},
        },
    ]
    lines = arrivals.lines()
    assert len({line.pop("id") for line in lines}) == 2
    of_line = {
        "traceId": trace_id,
        "service": "checkout",
        "logger": "shop.cart",
        "fields": {"deployment.environment": "test"},
    }
    assert lines == [
        of_line
        | {
            "flags": Flag.ERROR,
            "spanId": ids["charge"],
            "timestamp": begun + 30,
            "level": "ERROR",
            "message": "declined",
        },
        of_line
        | {
            "flags": 0,
            "spanId": ids["checkout"],
            "timestamp": begun + 10,
            "level": "WARN",
            "message": "the card expires",
        },
    ]


def _emit(logger: Logger, severity: SeverityNumber, message: str, microseconds: int) -> None:
    logger.emit(timestamp=microseconds * 1000, severity_number=severity, severity_text=severity.name, body=message)


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
    door: Running, arrivals: Arrivals, pool: urllib3.PoolManager, encoding: Encoding, content_type: str
) -> None:
    version = "v1" if encoding is Encoding.V1_JSON else "v2"

    def send(body: bytes | str) -> None:
        answer = pool.request(
            "POST", f"{door.url}/api/{version}/spans", body=body, headers={"Content-Type": content_type}
        )
        assert answer.status == 202, answer.data

    with (
        zipkin_span("checkout", "post /orders", transport_handler=send, sample_rate=100.0, encoding=encoding) as root,
        zipkin_span("checkout", "charge", binary_annotations={"error": "declined"}) as child,
    ):
        pass
    assert root.zipkin_attrs
    assert child.zipkin_attrs
    trace_id, root_id, child_id = root.zipkin_attrs.trace_id, root.zipkin_attrs.span_id, child.zipkin_attrs.span_id
    assert trace_id
    found = arrivals.spans()
    for span in found:
        assert span.pop("timestamp")
        assert span.pop("duration")
        if encoding is Encoding.V1_JSON:
            # It rounds each time by itself, and an end that is not start and duration stays an annotation.
            assert {one["value"] for one in span.pop("annotations", ())} <= {"ss"}
        # It adds the address of the machine, if it finds one.
        span["localEndpoint"] = span["localEndpoint"]["serviceName"]
    of_span = {"traceId": bytes.fromhex(trace_id.zfill(32)), "localEndpoint": "checkout"}
    assert found == [
        of_span
        | {
            "flags": Flag.ERROR | Flag.SHORT_ID,
            "id": child_id,
            "parentId": root_id,
            "name": "charge",
            "tags": {"error": "declined"},
        },
        of_span | {"flags": Flag.ROOT | Flag.SHORT_ID, "id": root_id, "kind": "SERVER", "name": "post /orders"},
    ]
