"""The names under which loggers write the parts of a line, as data: one row for each logger.

Sources: the loggers' own documentation and the lines that they write. To teach the reader another logger, add a row;
docs/log-lines.md is generated from this table. For each part, names are tried in the order of the rows, and the first
one with a usable value wins. Names are compared by their letters and digits alone, in any case: `trace_id` stands for
`traceId`, `TraceId`, `trace.id`, `trace-id`, `_trace_id` and the object `{"trace": {"id": …}}`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple


class Part(StrEnum):
    """A part of a log record that is read from a line."""

    TIME = "time"
    LEVEL = "level"
    MESSAGE = "message"
    TRACE_ID = "trace_id"
    SPAN_ID = "span_id"
    SERVICE = "service"
    LOGGER = "logger"
    ERROR_TYPE = "error_type"
    ERROR_MESSAGE = "error_message"
    STACK_TRACE = "stack_trace"
    ERROR = "error"
    """A whole exception: an object, a list of frames, or a text with or without a stack trace."""


@dataclass(frozen=True, slots=True)
class Logger:
    """A logger or format: its name, and its names for the parts of a line, separated by spaces."""

    title: str
    time: str = ""
    level: str = ""
    message: str = ""
    trace_id: str = ""
    span_id: str = ""
    service: str = ""
    logger: str = ""
    error_type: str = ""
    error_message: str = ""
    stack_trace: str = ""
    error: str = ""

    def names(self) -> Iterator[tuple[Part, str]]:
        """Yield each of its names, with the part that it stands for."""
        for field in fields(self)[1:]:
            for name in getattr(self, field.name).split():
                yield Part(field.name), name


_HEADERS_ROW = "Headers of requests"

# fmt: off
LOGGERS = (
    Logger("Elastic Common Schema", time="@timestamp", level="log.level", message="message", trace_id="trace.id", span_id="span.id", service="service.name", logger="log.logger", error_type="error.type", error_message="error.message", stack_trace="error.stack_trace"),
    Logger("OpenTelemetry", time="timestamp timeUnixNano observed_timestamp observedTimeUnixNano", level="severity_text severity_number", message="body", trace_id="trace_id otel.trace_id", span_id="span_id otel.span_id", service="service.name", logger="scope.name instrumentation_scope.name otel.scope.name", error_type="exception.type", error_message="exception.message", stack_trace="exception.stacktrace"),
    Logger("pino, bunyan, winston, roarr", time="time timestamp", level="level", message="msg message", trace_id="traceId", span_id="spanId", logger="name", error_type="err.type err.name error.name", error_message="err.message", stack_trace="err.stack error.stack stack", error="err error"),
    Logger("zap, zerolog, logrus, slog", time="ts time", level="level lvl", message="msg message", trace_id="traceID trace_id", logger="logger", stack_trace="stacktrace errorVerbose", error="error err"),
    Logger("Logback, Log4j and their encoders", time="@timestamp instant timeMillis timestamp", level="level levelname level_value", message="message formattedMessage", trace_id="mdc.traceId contextMap.trace_id", logger="logger_name loggerName", stack_trace="stack_trace stackTrace", error="thrown throwable throwableProxy exception"),
    Logger("Quarkus, JBoss", time="timestamp", level="level", message="message", trace_id="mdc.traceId", span_id="mdc.spanId", logger="loggerName", error="exception"),
    Logger("Python's logging and its JSON formatters, structlog, loguru", time="asctime created datetime record.time", level="levelname levelno record.level severity", message="message event record.message", trace_id="otelTraceID", span_id="otelSpanID", service="otelServiceName", logger="name logger record.name", error_type="exc_type exception_name", error_message="exc_value", stack_trace="exc_text", error="exc_info exception record.exception"),
    Logger("Serilog", time="@t Timestamp", level="@l Level", message="@m RenderedMessage @mt MessageTemplate", trace_id="@tr TraceId", span_id="@sp SpanId", service="ServiceName Application ApplicationName", logger="SourceContext Properties.SourceContext", error="@x Exception"),
    Logger(".NET's console, NLog, log4net", time="Timestamp time date", level="LogLevel level", message="Message State.Message", trace_id="Scopes.TraceId TraceId", span_id="Scopes.SpanId", logger="Category CategoryName Logger", error="Exception"),
    Logger("Monolog", time="datetime", level="level_name level", message="message", trace_id="extra.trace_id context.trace_id", span_id="extra.span_id", logger="channel", error="context.exception context.error"),
    Logger("Rust's tracing", time="timestamp", level="level", message="fields.message message", trace_id="span.trace_id", span_id="span.span_id", logger="target", error="fields.error"),
    Logger("GELF", time="timestamp", level="level", message="short_message full_message", trace_id="_trace_id", span_id="_span_id", service="_service", logger="_logger"),
    Logger("Google Cloud", time="timestamp timestampSeconds receiveTimestamp", level="severity", message="message jsonPayload.message textPayload", trace_id="logging.googleapis.com/trace trace", span_id="logging.googleapis.com/spanId spanId", service="serviceContext.service", logger="logName", stack_trace="stack_trace"),
    Logger("AWS: powertools, Lambda, X-Ray", time="timestamp", level="level", message="message", trace_id="xray_trace_id xrayTraceId x-amzn-trace-id", service="service", error_type="exception_name errorType", error_message="errorMessage", stack_trace="stackTrace", error="exception"),
    Logger("Datadog", time="date timestamp", level="status", message="message", trace_id="dd.trace_id x-datadog-trace-id", span_id="dd.span_id x-datadog-parent-id", service="dd.service", logger="logger.name", error_type="error.kind", error_message="error.message", stack_trace="error.stack"),
    Logger("New Relic", time="timestamp", level="level", message="message", trace_id="trace.id", span_id="span.id", service="entity.name", logger="logger.fqcn", error_type="error.class", error_message="error.message", stack_trace="error.stack"),
    Logger("SkyWalking", trace_id="TID SW_CTX SW_CTX.trace_id sw_trace_id", service="SW_CTX.service"),
    Logger(_HEADERS_ROW, trace_id="traceparent b3 uber-trace-id x-b3-traceid X-Cloud-Trace-Context", span_id="x-b3-spanid"),
    Logger("hclog: Terraform, Vault, Consul", time="@timestamp", level="@level", message="@message", logger="@module"),
    Logger("tslog, roarr", time="_meta.date", level="_meta.logLevelName context.logLevel", message="0", logger="_meta.name"),
    Logger("MongoDB", time="t", level="s", message="msg"),
    Logger("PostgreSQL's jsonlog", time="timestamp", level="error_severity", message="message"),
    Logger("journald", time="__REALTIME_TIMESTAMP _SOURCE_REALTIME_TIMESTAMP", level="PRIORITY", message="MESSAGE", service="SYSLOG_IDENTIFIER"),
    Logger("MySQL's error log", time="time", level="label", message="msg", logger="subsystem"),
    Logger("syslog", time="time timestamp timereported", level="severity syslog.severity.code", message="message msg", service="appname app-name programname"),
    Logger("Nginx, Apache, Envoy, Caddy: access logs", time="time_iso8601 time_local start_time msec timestamp", message="request", trace_id="request_trace_id opentelemetry_trace_id"),
    Logger("Docker, containerd, Fluent Bit", time="time date", message="log"),
    Logger("Others", time="datetime date_time eventTime event_time event_timestamp logTime log_time logdate log_date logged_at log_timestamp created_at timestamp_ms timestampMillis ts_ms epoch epoch_ms _time", level="severity severity_label priority log_level level_str level_label", message="text body.message log_message log.message event.message payload.message data.message", trace_id="trace.trace_id trace opentelemetry.trace_id tracing.trace_id span_context.trace_id spanContext.traceId", span_id="opentelemetry.span_id tracing.span_id span_context.span_id", service="service app application app_name application_name application.name spring.application.name microservice svc kubernetes.labels.app kubernetes.container_name k8s.container.name", logger="logger component module", stack_trace="stacktrace stack", error="exception error throwable cause"),
)
# fmt: on

# fmt: off
CONTAINERS = (
    "mdc", "contextMap", "context", "ctx", "properties", "props", "scopes", "scope", "extra", "extras", "fields",
    "@fields", "attributes", "attrs", "resource", "resource_attributes", "labels", "tags", "otel", "dd", "data",
    "record", "state", "meta", "metadata", "span", "spans", "current_span", "thread_context", "sw_ctx", "json_payload",
    "log_attributes", "event_data", "headers", "request_headers", "http_headers", "log",
)
# fmt: on
"""Objects, or lists of objects, that loggers put the context of a line into."""


class Place(NamedTuple):
    """The part that a name stands for, and its rank among the names of this part: lower ranks are tried first."""

    part: Part
    rank: int
    decimal: bool
    """Datadog's names, under which a number is a decimal id."""


@lru_cache(maxsize=1 << 14)
def canonical(name: str) -> str:
    """Return the letters and digits of a name, in lower case, with a leading `@`."""
    plain = "".join([char for char in name.lower() if char.isalnum()])
    return f"@{plain}" if name.startswith("@") else plain


def _ranked() -> dict[str, list[Place]]:
    ranked: dict[str, list[Place]] = {}
    number = dict.fromkeys(Part, 0)
    for logger in LOGGERS:
        for part, name in logger.names():
            key = canonical(name)
            places = ranked.setdefault(key, [])
            if all(place.part is not part for place in places):
                places.append(Place(part, number[part], logger.title == "Datadog"))
                number[part] += 1
    return ranked


_PLACES = _ranked()
# Headers of requests, which have one meaning wherever they are logged.
_HEADERS = {
    key: _PLACES[key]
    for logger in LOGGERS
    if logger.title == _HEADERS_ROW
    for _, name in logger.names()
    for key in [canonical(name)]
}
_CONTAINERS = frozenset(canonical(name) for name in CONTAINERS)
# In a container, other names than these mean something of the application's own: a user's name, a product's date.
_CONTAINED = frozenset(
    {Part.TRACE_ID, Part.SPAN_ID, Part.SERVICE, Part.ERROR_TYPE, Part.ERROR_MESSAGE, Part.STACK_TRACE, Part.ERROR}
)
_IN_CONTAINER = 1000
"""Added to the rank of a name in a container: the line's own names are tried first."""


@lru_cache(maxsize=1 << 14)
def places(path: str) -> tuple[Place, ...]:
    """Return the parts that the dotted name of a field may stand for; empty for all other fields."""
    whole = _PLACES.get(canonical(path))
    if whole is not None:
        return tuple(whole)
    names = path.split(".")
    depth = 0
    while depth < len(names) - 1 and canonical(names[depth]) in _CONTAINERS:
        depth += 1
        inner = _PLACES.get(canonical(".".join(names[depth:])))
        if inner is not None:
            decimal = canonical(names[depth - 1]) == "dd"
            return tuple(
                Place(place.part, place.rank + _IN_CONTAINER, decimal or place.decimal)
                for place in inner
                if place.part in _CONTAINED
            )
    return tuple(
        Place(place.part, place.rank + 2 * _IN_CONTAINER, place.decimal)
        for place in _HEADERS.get(canonical(names[-1]), ())
    )


@lru_cache(maxsize=1 << 12)
def holds_lists(path: str) -> bool:
    """Return True for the dotted name of a container, which may be a list of objects."""
    return all(canonical(name) in _CONTAINERS for name in path.split("."))
