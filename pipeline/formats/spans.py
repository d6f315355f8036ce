"""Reader of spans in any format that is known: Zipkin v2 and v1, OTLP and Jaeger, as JSON.

All formats but v2 are converted to objects of v2, so that one parser takes or refuses a span.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from pipeline.formats import jaeger_json, otlp_spans, zipkin_v1
from pipeline.formats.invalid_input import InvalidInput
from pipeline.formats.zipkin_json import parse_span
from tracelink.model.records import ErrorRule, Span

Json = dict[str, Any]

# Fields by which a log line is known that was taken for a span, unless it has a field that only spans have.
_LOG_FIELDS = frozenset(
    {
        "message", "msg", "@timestamp", "level", "severity", "severityText", "log.level", "levelname", "logger", "log",
        "@message", "@mt", "@m", "@t", "short_message", "MESSAGE", "Message", "body", "text", "event",
    }
)  # fmt: skip
_ONLY_SPANS = frozenset({"localEndpoint", "binaryAnnotations", "annotations", "operationName"})
_SPAN_FIELDS = frozenset({"name", "kind", "duration", "remoteEndpoint", "tags", "shared", "parentId"} | _ONLY_SPANS)
_READ = "Zipkin v2 and v1, OTLP and Jaeger JSON are read"
# Formats that are not read, by fields that they have together.
_OTHER_FORMATS = (
    ({"resourceLogs"}, "an export of log lines in OTLP", "give the file to --logs"),
    ({"resourceMetrics"}, "an export of metrics in OTLP", _READ),
    ({"traceSegmentId"}, "a SkyWalking segment", _READ),
    ({"trace_id", "span_id", "meta"}, "a Datadog span", _READ),
    ({"trace_id", "id", "start_time"}, "an AWS X-Ray segment", _READ),
    ({"context", "start_time", "end_time"}, "a span as OpenTelemetry's console exporter prints it", _READ),
)


class SpanReader:
    """Reads the spans of decoded JSON values; `rule` decides which are errored.

    `formats` counts the spans that it read in other formats than Zipkin v2.
    """

    def __init__(self, rule: ErrorRule) -> None:
        self._rule = rule
        self.formats: Counter[str] = Counter()

    def read(self, value: object) -> list[Span | InvalidInput]:
        """Return the spans of a value; an invalid one is the error that says why, and its place in the value."""
        try:
            if isinstance(value, str):
                return [InvalidInput("no object", "a span is a JSON object and no text: give log lines to --logs")]
            if not isinstance(value, dict) or _is_zipkin_v2(value):
                return [parse_span(value, self._rule)]
            name, spans = _as_v2(value)
            found = [self._parsed(span, f"{name} {place}".strip()) for place, span in spans]
        except InvalidInput as error:
            return [error]
        if taken := sum(not isinstance(span, InvalidInput) for span in found):
            self.formats[name] += taken
        return found

    def _parsed(self, span: Json | InvalidInput, place: str) -> Span | InvalidInput:
        if not isinstance(span, InvalidInput):
            try:
                return parse_span(span, self._rule)
            except InvalidInput as error:
                span = error
        return span.at(place)


def _is_zipkin_v2(value: Json) -> bool:
    if "traceId" not in value or "id" not in value or "binaryAnnotations" in value:
        return False
    if "annotations" in value and zipkin_v1.is_v1(value):
        return False
    return "name" in value or not _is_log_line(value)


def _as_v2(value: Json) -> tuple[str, Iterable[tuple[str, Json | InvalidInput]]]:
    """Return the format of a value, and its spans as objects of Zipkin v2 with their places in it."""
    if zipkin_v1.is_v1(value):
        return "Zipkin v1", [("", one) for one in zipkin_v1.v2_spans(value)]
    if otlp_spans.is_otlp(value):
        return "OTLP", otlp_spans.v2_spans(value)
    if jaeger_json.is_jaeger(value):
        return "Jaeger", jaeger_json.v2_spans(value)
    return "", [("", _unknown(value))]


def span_format(value: object) -> str | None:
    """Return the format of a decoded JSON value that is a span or holds spans; None for anything else."""
    if not isinstance(value, dict):
        return None
    if "id" in value and "traceId" in value:
        if _is_log_line(value) or _SPAN_FIELDS.isdisjoint(value):
            return None
        return "Zipkin v1" if zipkin_v1.is_v1(value) else "Zipkin v2"
    if ("resourceSpans" in value or "startTimeUnixNano" in value) and otlp_spans.is_otlp(value):
        return "OTLP"
    if ("data" in value or "spans" in value or "spanID" in value) and jaeger_json.is_jaeger(value):
        return None if _is_log_line(value) else "Jaeger"
    return None


def _is_log_line(value: Json) -> bool:
    return not _LOG_FIELDS.isdisjoint(value) and _ONLY_SPANS.isdisjoint(value)


def _unknown(value: Json) -> Json | InvalidInput:
    """Return the error that says what a value is; the value itself if it may be a span that lacks something."""
    for fields, name, hint in _OTHER_FORMATS:
        if fields <= value.keys():
            return InvalidInput("other format", f"this is {name}, which is not read as spans; {hint}")
    if _is_log_line(value):
        return InvalidInput("log line", "this is a log line and no span: give the file to --logs")
    if "traceId" not in value:
        return InvalidInput("traceId", f"the object has no traceId ({_READ})")
    return value
