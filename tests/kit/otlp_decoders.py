"""The decoders of requests of OTLP, for tests of both encodings."""

from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as LogMessage

from pipeline.formats.decoded import Decoded
from pipeline.formats.otlp_requests import logs_of_json, logs_of_protobuf, spans_of_json, spans_of_protobuf
from tests.kit import otlp
from tracelink.model.codec import LOG_RECORD, SPAN
from tracelink.model.records import ErrorRule, LogRecord, Span

DIGEST = "0123456789abcdef0123456789abcdef"
"""A digest of a request."""
RECEIVED = 1_795_162_531_000_000
"""The time of its arrival, in microseconds."""
BOTH = pytest.mark.parametrize("as_json", [False, True])
Messages = ExportTraceServiceRequest | ExportLogsServiceRequest


def spans_of(body: bytes, *, as_json: bool, most: int = 100) -> Decoded[Span]:
    """Decode a request; each of its spans can be encoded."""
    found = (spans_of_json if as_json else spans_of_protobuf)(body, ErrorRule(), most)
    for span in found.records:
        SPAN.encode(span)
    return found


def logs_of(body: bytes, *, as_json: bool, most: int = 100) -> Decoded[LogRecord]:
    """Decode a request; each of its log records can be encoded."""
    found = (logs_of_json if as_json else logs_of_protobuf)(body, ErrorRule(), most, DIGEST, RECEIVED)
    for record in found.records:
        LOG_RECORD.encode(record)
    return found


def body_of(request: Messages, *, as_json: bool) -> bytes:
    """Return a request as the body of one."""
    return otlp.as_json(request) if as_json else request.SerializeToString()


DECODERS = [spans_of, logs_of]


def both_spans(request: ExportTraceServiceRequest) -> list[Decoded[Span]]:
    """Decode a request as protobuf and as JSON."""
    return [spans_of(body_of(request, as_json=as_json), as_json=as_json) for as_json in (False, True)]


def both_logs(request: ExportLogsServiceRequest) -> list[Decoded[LogRecord]]:
    """Decode a request as protobuf and as JSON."""
    return [logs_of(body_of(request, as_json=as_json), as_json=as_json) for as_json in (False, True)]


def one_span(**fields: Any) -> Span:  # noqa: ANN401 - fields of any type
    """Return a span that is the same in protobuf and in JSON."""
    request = otlp.spans_request(otlp.span_message(**fields))
    first, second = [SPAN.decode(SPAN.encode(found.records[0])) for found in both_spans(request)]
    assert first == second
    return first


def one_log(**fields: Any) -> LogRecord:  # noqa: ANN401 - as above
    """Return a log record that is the same in protobuf and in JSON."""
    first, second = [found.records[0] for found in both_logs(otlp.logs_request(LogMessage(**fields)))]
    assert first == second
    return first
