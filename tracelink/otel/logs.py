"""Mapping of OpenTelemetry's log records to ours."""

from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import SERVICE_NAME

from tracelink.model.otel_mapping import MICRO, UNKNOWN_SERVICE, LogContent, log_record
from tracelink.model.records import NO_TRACE, ErrorRule, LogRecord
from tracelink.otel.values import Common, plain
from tracelink.texts import text


class LogMapper:
    """Maps log records; `rule` or the severity number decides which are errored."""

    def __init__(self, rule: ErrorRule) -> None:
        self._rule = rule
        self._common = Common()

    def map(self, readable: ReadableLogRecord, record_id: str) -> LogRecord:
        """Map a log record; `record_id` must be unique."""
        record, scope = readable.log_record, readable.instrumentation_scope
        number: object = record.severity_number
        content = LogContent(
            record.body,
            plain(record.attributes),
            readable.dropped_attributes,
            text(record.event_name) if record.event_name else "",
            text(record.severity_text) if record.severity_text else "",
            number.value if isinstance(number, SeverityNumber) else number or 0,
        )
        return log_record(
            content,
            self._common.tags(readable.resource, scope),
            self._rule,
            record_id=record_id,
            trace_id=record.trace_id.to_bytes(16, "big") if record.trace_id else NO_TRACE,
            span_id=f"{record.span_id:016x}" if record.span_id else None,
            timestamp=(record.timestamp or record.observed_timestamp or 0) // MICRO,
            service=text(readable.resource.attributes.get(SERVICE_NAME, UNKNOWN_SERVICE)),
            logger=text(scope.name) if scope is not None and scope.name else None,
        )
