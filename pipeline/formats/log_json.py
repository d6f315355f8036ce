"""Log records from JSON log lines: ECS names, dotted or nested, and the plain names that loggers use.

Each of our fields comes from the first name of its list that the line has. All other fields keep their names (nested
ones dotted) and their values, as JSON text if not a string. Null fields are ignored.
"""

from pipeline.formats.invalid_input import InvalidInput, kept, shown
from pipeline.formats.times import parse_time
from tracelink.model.records import NO_TRACE, ErrorRule, Flag, LoggedException, LogRecord, parse_trace_id

_TIME = ("@timestamp", "timestamp", "time", "ts", "datetime", "date", "asctime", "eventTime")
_LEVEL = ("log.level", "level", "severity", "severity_text", "severityText", "levelname", "lvl", "loglevel")
_MESSAGE = ("message", "msg", "body", "event", "log", "text")
_SERVICE = ("service.name", "service", "serviceName", "service_name", "app", "application")
_LOGGER = ("log.logger", "logger", "logger_name", "loggerName", "logger.name")
_TRACE_ID = ("trace.id", "trace_id", "traceId", "traceID", "traceid", "otelTraceID", "X-B3-TraceId")
_SPAN_ID = ("span.id", "span_id", "spanId", "spanID", "spanid", "otelSpanID", "X-B3-SpanId")
_ERROR_TYPE = ("error.type", "exception.type", "error.name", "err.type")
_ERROR_MESSAGE = ("error.message", "exception.message", "error", "err.message", "err")
_STACK = (
    "error.stack_trace", "exception.stacktrace", "exception.stack_trace", "error.stack", "stack_trace", "stackTrace",
    "stacktrace", "stack", "err.stack", "exc_info", "exception",
)  # fmt: skip
# Levels as Node's loggers (pino, bunyan) number them.
_NUMBERED_LEVELS = {10: "TRACE", 20: "DEBUG", 30: "INFO", 40: "WARN", 50: "ERROR", 60: "FATAL"}
# Deeper objects keep their JSON text.
_MAX_DEPTH = 16
_SPAN_ID_CHARS = 16


def parse_log(value: object, record_id: str, rule: ErrorRule) -> LogRecord:
    """Return a decoded JSON value as a log record with this id; raises InvalidInput.

    A line without a trace id, or with a zero or an invalid one, has no trace; an invalid one is kept as a field.
    """
    if not isinstance(value, dict):
        raise InvalidInput("no object", f"a log line is a JSON object, not {shown(value)}")
    line: dict[str, object] = {}
    _flatten(value, "", line, _MAX_DEPTH)
    time = _take(line, _TIME)
    if time is None:
        raise InvalidInput("no time", f"the line has none of the fields {', '.join(_TIME)}")
    timestamp = parse_time(time)
    level = _take_level(line)
    trace_id, flags = _take_trace_id(line)
    span_id = _take_span_id(line)
    exception = _take_exception(line)
    message = _take_text(line, _MESSAGE)
    if message is None and exception is not None:
        message = exception.get("message")
    if message is None:
        raise InvalidInput("no message", f"the line has none of the fields {', '.join(_MESSAGE)}")
    return {
        "flags": flags | Flag.ERROR if rule.log(level) else flags,
        "traceId": trace_id,
        "id": record_id,
        "spanId": span_id,
        "timestamp": timestamp,
        "service": _take_text(line, _SERVICE),
        "level": level,
        "logger": _take_text(line, _LOGGER),
        "message": message,
        "exception": exception,
        "fields": {name: kept(field) for name, field in line.items()},
    }


def _flatten(value: dict[str, object], prefix: str, into: dict[str, object], depth: int) -> None:
    """Put nested objects under dotted names; if a line has a name in both forms, the second gets an apostrophe."""
    for name, field in value.items():
        full = prefix + name
        if isinstance(field, dict) and depth and field:
            _flatten(field, f"{full}.", into, depth - 1)
        elif field is not None:
            while full in into:
                full += "'"
            into[full] = field


def _take(line: dict[str, object], names: tuple[str, ...]) -> object | None:
    for name in names:
        if name in line:
            return line.pop(name)
    return None


def _take_text(line: dict[str, object], names: tuple[str, ...]) -> str | None:
    found = _take(line, names)
    return None if found is None else kept(found)


def _take_level(line: dict[str, object]) -> str | None:
    found = _take(line, _LEVEL)
    if found is None:
        return None
    number = _NUMBERED_LEVELS.get(found) if isinstance(found, int) else None
    return number or kept(found).upper()


def _take_trace_id(line: dict[str, object]) -> tuple[bytes, int]:
    for name in _TRACE_ID:
        found = line.get(name)
        if not isinstance(found, str):
            continue
        if found.strip("0") == "":  # instrumentations write it outside of a trace
            del line[name]
            return NO_TRACE, 0
        try:
            trace_id, flags = parse_trace_id(found)
        except ValueError:
            return NO_TRACE, 0
        del line[name]
        return trace_id, int(flags)
    return NO_TRACE, 0


def _take_span_id(line: dict[str, object]) -> str | None:
    """Take the span id; an invalid one stays a field, zero means no span."""
    for name in _SPAN_ID:
        found = line.get(name)
        if not isinstance(found, str):
            continue
        lowered = found.lower()
        if len(lowered) > _SPAN_ID_CHARS or not set(lowered) <= set("0123456789abcdef"):
            return None
        del line[name]
        return lowered.zfill(_SPAN_ID_CHARS) if lowered.strip("0") else None
    return None


def _take_exception(line: dict[str, object]) -> LoggedException | None:
    kind, message, stack = (_take_text(line, names) for names in (_ERROR_TYPE, _ERROR_MESSAGE, _STACK))
    if kind is None and message is None and stack is None:
        return None
    return {"type": kind, "message": message, "stackTrace": stack}
