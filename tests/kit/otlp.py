"""Requests of OTLP: any spans and log records of the SDK, and a message as the JSON that the protocol has."""

import base64
from typing import Any

import orjson
from google.protobuf.json_format import MessageToDict
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as LogMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceState,
    set_span_in_context,
)

TRACE_ID, SPAN_ID = bytes.fromhex("463ac35c9f6413ad48485a3953bb6124"), bytes.fromhex("a2fb4a1d1a96d312")
START = 1_795_162_530_123_456_789
"""The time of an ordinary span, in nanoseconds."""
_IDS = frozenset({"traceId", "spanId", "parentSpanId"})


def span_message(**fields: Any) -> Span:  # noqa: ANN401 - fields of any type
    """Return a span of protobuf with ids and times, unless they are given."""
    given: dict[str, Any] = {
        "trace_id": TRACE_ID,
        "span_id": SPAN_ID,
        "start_time_unix_nano": START,
        "end_time_unix_nano": START + 2000,
    }
    return Span(**(given | fields))


def spans_request(*spans: Span) -> ExportTraceServiceRequest:
    """Return a request with spans of one resource and scope without attributes."""
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.extend(spans)
    return request


def logs_request(*records: LogMessage) -> ExportLogsServiceRequest:
    """Return a request with log records of one resource and scope without attributes."""
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.extend(records)
    return request


def as_json(message: Any) -> bytes:  # noqa: ANN401 - protobuf's messages have no types
    """Return a message as JSON: as protobuf's own, but with ids in hex and numbers for enums."""
    return orjson.dumps(_with_hex(MessageToDict(message, use_integers_for_enums=True)))


def _with_hex(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, list):
        return [_with_hex(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {name: base64.b64decode(one).hex() if name in _IDS else _with_hex(one) for name, one in value.items()}


NAMES = st.sampled_from(
    [
        "a", "error", "host.name", "resource.host.name", "otel.scope.name", "otel.scope.pool", "otel.status_code",
        "service.name", "http.response.status_code", "rpc.grpc.status_code", "server.address", "server.port",
        "network.peer.address", "peer.service", "exception.type", "exception.message", "exception.stacktrace",
        "level.original", "event.name", "", "é",
    ]
)  # fmt: skip
"""Names of attributes that mean something to the mapping, or collide with what it writes."""
_PLAIN = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.sampled_from(["", "false", "500", "10.0.0.7", "2001:DB8::1", "cart", "ERROR"])
    | st.text(max_size=5)
)
VALUES = st.recursive(
    st.none() | _PLAIN | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
"""Values that an attribute or a body may have."""
ATTRIBUTES = st.dictionaries(NAMES | st.text(max_size=5), VALUES, max_size=6)
_FEW = st.dictionaries(NAMES | st.text(min_size=1, max_size=5), _PLAIN, max_size=4).filter(
    lambda found: found.get("service.name") != ""  # the decoders call it unknown
)
# OpenTelemetry's objects count what was dropped.
_DROPPED = ATTRIBUTES.map(lambda found: BoundedAttributes(2, found, extended_attributes=True))
TIMES = st.integers(10**18, 2**63 - 1)
"""Times in nanoseconds after September 2001; a smaller number is taken for another unit."""
_URLS = st.sampled_from(["", "https://example.org/1"])
# Enough attributes to be encoded apart from those of the records.
_MANY = _FEW.map(lambda few: {f"k8s.label.{number}": "x" for number in range(10)} | few)
RESOURCES = st.builds(Resource, _FEW | _MANY, _URLS)
SCOPES = st.none() | st.builds(
    InstrumentationScope, st.text(max_size=4), st.none() | st.just("3.1"), _URLS, st.none() | _FEW
)
_SHORT_OR_LONG = st.integers(1, 2**64 - 1) | st.integers(2**64, 2**128 - 1)
_SPAN_IDS = st.integers(1, 2**64 - 1)
_STATES = st.none() | st.just(TraceState([("vendor", "x"), ("other", "y")]))


def contexts(*, states: bool = False) -> st.SearchStrategy[SpanContext]:
    """Return a strategy of contexts."""
    return st.builds(
        lambda trace, span, state: SpanContext(trace, span, is_remote=True, trace_state=state),
        _SHORT_OR_LONG,
        _SPAN_IDS,
        _STATES if states else st.none(),
    )


@st.composite
def spans(draw: st.DrawFn) -> ReadableSpan:
    """Draw a span of the SDK."""
    context = draw(contexts(states=True))
    start = draw(st.none() | TIMES)
    code = draw(st.sampled_from(StatusCode))
    return ReadableSpan(
        draw(st.text(max_size=5)),
        context=context,
        parent=draw(st.none() | contexts().filter(lambda parent: parent.span_id != context.span_id)),
        resource=draw(RESOURCES),
        attributes=draw(ATTRIBUTES | _DROPPED),
        events=draw(st.lists(st.builds(Event, st.text(max_size=5), ATTRIBUTES | _DROPPED, TIMES), max_size=2)),
        # The SDK's encoder leaves the trace state of a link out.
        links=draw(st.lists(st.builds(Link, contexts(), ATTRIBUTES), max_size=2)),
        kind=draw(st.sampled_from(SpanKind)),
        instrumentation_scope=draw(SCOPES),
        status=Status(code, draw(st.none() | st.text(max_size=5)) if code is StatusCode.ERROR else None),
        start_time=start,
        end_time=None if start is None else draw(st.none() | st.integers(start, 2**63 - 1)),
    )


@st.composite
def log_records(draw: st.DrawFn) -> ReadableLogRecord:
    """Draw a log record of the SDK."""
    context = draw(st.none() | contexts())
    record = LogRecord(
        timestamp=draw(st.none() | TIMES),
        observed_timestamp=draw(TIMES),
        context=None if context is None else set_span_in_context(NonRecordingSpan(context)),
        severity_text=draw(
            st.none() | st.text(max_size=5) | st.sampled_from(["Info", "ERROR", "my own", "\x1b[31mwarn"])
        ),
        severity_number=draw(st.none() | st.sampled_from(SeverityNumber)),
        body=draw(VALUES),
        attributes=draw(ATTRIBUTES | _DROPPED),
        event_name=draw(st.none() | st.text(max_size=5)),
    )
    return ReadableLogRecord(record, draw(RESOURCES), draw(SCOPES))
