"""Mapping of OpenTelemetry's log records to ours."""

from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import SERVICE_NAME

from tracelink.model.records import NO_TRACE, ErrorRule, Flag, LoggedException, LogRecord
from tracelink.otel.levels import ORIGINAL_LEVEL, level_of_severity
from tracelink.otel.values import MICRO, Common, plain
from tracelink.texts import text

_SHORT = 1 << 64
_EXCEPTION = ("exception.type", "exception.message", "exception.stacktrace")


class LogMapper:
    """Maps log records; `rule` or the severity number decides which are errored."""

    def __init__(self, rule: ErrorRule) -> None:
        self._rule = rule
        self._common = Common()

    def map(self, readable: ReadableLogRecord, record_id: str) -> LogRecord:
        """Map a log record; `record_id` must be unique."""
        record, scope = readable.log_record, readable.instrumentation_scope
        common = self._common.tags(readable.resource, scope)
        fields = common.copy()
        for name, value in plain(record.attributes).items():
            if name in common:  # the record's own attribute wins, the resource's is renamed
                fields[f"resource.{name}"] = common[name]
            fields[name] = text(value)
        if record.event_name:
            fields["event.name"] = text(record.event_name)
        if readable.dropped_attributes:
            fields["otel.dropped_attributes_count"] = str(readable.dropped_attributes)
        fields.pop("otel.scope.name", None)  # it is in the field `logger`
        level, original, number = level_of_severity(record.severity_text, record.severity_number)
        if original is not None:
            fields.setdefault(ORIGINAL_LEVEL, original)
        trace_id = record.trace_id or 0
        return {
            "flags": self._flags(level, number, trace_id),
            "traceId": trace_id.to_bytes(16, "big") if trace_id else NO_TRACE,
            "id": record_id,
            "spanId": f"{record.span_id:016x}" if record.span_id else None,
            "timestamp": (record.timestamp or record.observed_timestamp or 0) // MICRO,
            "service": text(readable.resource.attributes.get(SERVICE_NAME, "unknown_service")),
            "level": level,
            "logger": text(scope.name) if scope is not None and scope.name else None,
            "message": "" if record.body is None else text(record.body),
            "exception": _exception(fields),
            "fields": fields,
        }

    def _flags(self, level: str | None, number: SeverityNumber | None, trace_id: int) -> int:
        errored = self._rule.log(level) or (number is not None and number.value >= SeverityNumber.ERROR.value)
        flags = Flag.ERROR.value if errored else 0
        return flags | Flag.SHORT_ID.value if 0 < trace_id < _SHORT else flags


def _exception(fields: dict[str, str]) -> LoggedException | None:
    """Move the exception out of the fields."""
    kind, message, stack = (fields.pop(name, None) for name in _EXCEPTION)
    if kind is None and message is None and stack is None:
        return None
    return {"type": kind, "message": message, "stackTrace": stack}
