"""OTLP over gRPC: statuses, and requests that are broken or too large."""

import gzip
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.kit.gateway import Running
from tests.kit.kafka_topics import read
from tracelink.settings import KafkaSettings

_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@pytest.fixture(scope="module")
def channel(door: Running) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(door.grpc) as channel:
        yield channel


def _call(channel: grpc.Channel, body: bytes, path: str = _EXPORT) -> bytes:
    method: Any = channel.unary_unary(path)  # its types need serializers
    answer: bytes = method(body, timeout=30)
    return answer


def _spans(trace_id: bytes, count: int) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for number in range(1, count + 1):
        spans.add(trace_id=trace_id, span_id=number.to_bytes(8, "big"), name="x")
    return request


def test_a_broken_span_is_a_partial_success(channel: grpc.Channel, where: KafkaSettings) -> None:
    trace_id = uuid4()
    request = _spans(trace_id.bytes, 2)
    request.resource_spans[0].scope_spans[0].spans[1].span_id = b"?"
    said = ExportTraceServiceResponse.FromString(_call(channel, request.SerializeToString())).partial_success
    assert said.rejected_spans == 1
    assert "1 of 2 records were refused" in said.error_message
    assert len([one for one in read(where) if one.key == trace_id.hex.encode()]) == 1


def test_an_empty_request_is_answered_with_success(channel: grpc.Channel) -> None:
    assert _call(channel, b"") == b""


@pytest.mark.parametrize(
    ("body", "path", "code"),
    [
        (b"\xff\xff", _EXPORT, grpc.StatusCode.INVALID_ARGUMENT),
        (b"\x0a\x04\x12\x02\x12\x00" * 5001, _EXPORT, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (bytes(2_000_000), _EXPORT, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (b"", "/opentelemetry.proto.collector.profiles.v1.ProfilesService/Export", grpc.StatusCode.UNIMPLEMENTED),
    ],
    ids=["broken", "many", "large", "unknown"],
)
def test_a_request_that_cannot_be_taken_is_refused_with_its_status(
    channel: grpc.Channel, body: bytes, path: str, code: grpc.StatusCode
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        _call(channel, body, path)
    assert refused.value.code() is code
    assert refused.value.details()


def test_a_body_that_is_too_large_once_it_is_decompressed_is_refused(door: Running) -> None:
    with grpc.insecure_channel(door.grpc, compression=grpc.Compression.Gzip) as channel:
        assert len(gzip.compress(bytes(50_000_000))) < 100_000
        with pytest.raises(grpc.RpcError) as refused:
            _call(channel, bytes(50_000_000))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
