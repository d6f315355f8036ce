"""Log records of OTLP in JSON; ids and numbers may be spelled as in `otlp_spans`."""

from collections import Counter
from typing import Any

from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber

from pipeline.formats import span_values
from pipeline.formats.invalid_input import InvalidInput, shown
from pipeline.formats.otlp_common import SPAN_BYTES, TRACE_BYTES
from pipeline.formats.otlp_fields import dropped, field, hex_id, is_number, nanoseconds, text_field
from pipeline.formats.otlp_groups import Names
from pipeline.formats.otlp_log_records import Said
from pipeline.formats.otlp_values import Values
from pipeline.formats.span_values import Spare
from pipeline.formats.trace_ids import read_trace_id
from tracelink.model.otel_mapping import LogContent
from tracelink.model.records import NO_TRACE, parse_trace_id

LOGS = Names(
    ("resourceLogs", "resource_logs"),
    ("scopeLogs", "scope_logs", "instrumentationLibraryLogs", "instrumentation_library_logs"),
    ("logRecords", "log_records"),
)
"""The names of the lists in a request."""
_SEVERITIES = dict(SeverityNumber.items())


def said_of(record: object, values: Values, notes: Counter[str]) -> Said:
    """Return what a JSON object says; an id that is none is spare. Raises InvalidInput."""
    if not isinstance(record, dict):
        raise InvalidInput("OTLP", f"a log record is a JSON object, not {shown(record)}")
    spare: Spare = {}
    content = LogContent(
        values.value(record.get("body")),
        values.attributes(record.get("attributes")),
        dropped(record, "Attributes"),
        text_field(record, "eventName"),
        text_field(record, "severityText"),
        _severity(field(record, "severityNumber")),
    )
    trace_id = _trace_id(hex_id(record, "traceId", TRACE_BYTES, notes), spare)
    span_id = _span_id(hex_id(record, "spanId", SPAN_BYTES, notes), spare)
    time, observed = nanoseconds(record, "timeUnixNano"), nanoseconds(record, "observedTimeUnixNano")
    return Said(content, trace_id, span_id, time, observed, spare)


def _trace_id(found: Any, spare: Spare) -> bytes:  # noqa: ANN401 - any JSON
    """Return a trace id in any spelling, as of spans; zero for none."""
    if found is None:
        return NO_TRACE
    if isinstance(found, str):
        try:
            return parse_trace_id(found)[0]
        except ValueError:
            foreign = read_trace_id(found)
        if foreign is not None and foreign.value == NO_TRACE:
            return NO_TRACE
        if foreign is not None:
            span_values.keep(spare, "traceId", found)
            return foreign.value
    span_values.keep(spare, "traceId", found)
    return NO_TRACE


def _span_id(found: Any, spare: Spare) -> str | None:  # noqa: ANN401 - as above
    try:
        return span_values.span_id(found, "spanId")
    except InvalidInput:
        span_values.keep(spare, "spanId", found)
        return None


def _severity(found: object) -> int:
    """Return the number of a severity, which may be a text or a name; 0 for anything else."""
    if isinstance(found, str):
        return int(found) if is_number(found) else _SEVERITIES.get(found.upper(), 0)
    return found if type(found) is int else 0
