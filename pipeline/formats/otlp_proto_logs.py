"""Log records of OTLP in protobuf."""

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as Message

from pipeline.formats.otlp_common import SPAN_BYTES, TRACE_BYTES
from pipeline.formats.otlp_log_records import Said
from pipeline.formats.otlp_proto_values import Values
from tracelink.model.otel_mapping import LogContent
from tracelink.model.records import NO_TRACE

_NO_SPAN = bytes(SPAN_BYTES)


def said_of(record: Message, values: Values) -> Said:
    """Return what a message says; an id of a wrong length is none, and spare."""
    spare: dict[str, str] = {}
    trace_id, span_id = record.trace_id, record.span_id
    if len(trace_id) != TRACE_BYTES:
        if trace_id:
            spare["traceId"] = trace_id.hex()
        trace_id = NO_TRACE
    if span_id and len(span_id) != SPAN_BYTES:
        spare["spanId"] = span_id.hex()
        span_id = b""
    content = LogContent(
        values.value(record.body),
        values.attributes(record.attributes),
        record.dropped_attributes_count,
        record.event_name,
        record.severity_text,
        record.severity_number,
    )
    shown = span_id.hex() if span_id and span_id != _NO_SPAN else None
    return Said(content, trace_id, shown, record.time_unix_nano, record.observed_time_unix_nano, spare)
