"""Mapping of OpenTelemetry's spans to ours, by OpenTelemetry's published mapping to Zipkin.

Links, dropped counts, trace state, resource and scope have no field in Zipkin and become tags: nothing is lost.
"""

from opentelemetry.sdk.resources import SERVICE_NAME
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, SpanKind, StatusCode

from tracelink.model.endpoints import remote_endpoint
from tracelink.model.records import Annotation, ErrorRule, Flag, Span
from tracelink.otel.values import MICRO, Attributes, Common, plain, texts
from tracelink.texts import json, text

_KINDS = {
    SpanKind.CLIENT: "CLIENT",
    SpanKind.SERVER: "SERVER",
    SpanKind.PRODUCER: "PRODUCER",
    SpanKind.CONSUMER: "CONSUMER",
    SpanKind.INTERNAL: None,
}
_SHORT = 1 << 64


class SpanMapper:
    """Maps spans; `rule` decides which are errored."""

    def __init__(self, rule: ErrorRule) -> None:
        self._rule = rule
        self._common = Common()

    def map(self, span: ReadableSpan) -> Span:
        """Map a span that has ended."""
        context = span.context
        if context is None:
            raise ValueError("a span without a context belongs to no trace")
        attributes = plain(span.attributes)
        tags = self._tags(span, attributes)
        kind = _KINDS.get(span.kind)
        timestamp, duration = _times(span)
        flags = Flag.ERROR.value if self._rule.span(tags) else 0
        if span.parent is None:
            flags |= Flag.ROOT.value
        if context.trace_id < _SHORT:
            flags |= Flag.SHORT_ID.value
        return {
            "flags": flags,
            "traceId": context.trace_id.to_bytes(16, "big"),
            "id": f"{context.span_id:016x}",
            "parentId": None if span.parent is None else f"{span.parent.span_id:016x}",
            "kind": kind,
            "name": text(span.name),
            "timestamp": timestamp,
            "duration": duration,
            "localEndpoint": {"serviceName": text(span.resource.attributes.get(SERVICE_NAME, "unknown_service"))},
            "remoteEndpoint": remote_endpoint(kind, attributes),
            "annotations": [_annotation(event) for event in span.events],
            "tags": tags,
        }

    def _tags(self, span: ReadableSpan, attributes: Attributes) -> dict[str, str]:
        common = self._common.tags(span.resource, span.instrumentation_scope)
        tags = common.copy()
        for name, value in attributes.items():
            if name in common:  # the span's own attribute wins, the resource's is renamed
                tags[f"resource.{name}"] = common[name]
            tags[name] = value if type(value) is str and value.isascii() else text(value)
        _add_status(tags, span)
        _add_counts(tags, span)
        if span.links:
            tags["otel.links"] = json([_link(link) for link in span.links])
        if span.context and span.context.trace_state:
            tags["w3c.tracestate"] = span.context.trace_state.to_header()
        return tags


def _times(span: ReadableSpan) -> tuple[int | None, int | None]:
    """Return start and duration in microseconds."""
    start, end = span.start_time, span.end_time
    if start is None:
        return None, None
    try:
        # Zipkin reads a duration of 0 as none.
        return start // MICRO, None if end is None else max(1, (end - start) // MICRO)
    except TypeError:  # no number; the publisher keeps it as a tag
        return start, None


def _add_status(tags: dict[str, str], span: ReadableSpan) -> None:
    """Set the status, and `error` only on a failed span: for Zipkin the mere presence of this tag is an error."""
    status = span.status
    code = status.status_code
    if code is StatusCode.ERROR:
        if "error" in tags:
            tags["attribute.error"] = tags["error"]
        tags["otel.status_code"] = "ERROR"
        tags["error"] = text(status.description or "")
    elif "error" in tags and (code is StatusCode.OK or tags["error"] in {"false", ""}):
        tags["attribute.error"] = tags.pop("error")
    if code is StatusCode.OK:
        tags["otel.status_code"] = "OK"


def _add_counts(tags: dict[str, str], span: ReadableSpan) -> None:
    if span.dropped_attributes:
        tags["otel.dropped_attributes_count"] = str(span.dropped_attributes)
    if span.dropped_events:
        tags["otel.dropped_events_count"] = str(span.dropped_events)
    if span.dropped_links:
        tags["otel.dropped_links_count"] = str(span.dropped_links)


def _annotation(event: Event) -> Annotation:
    value = text(event.name)
    if event.attributes or event.dropped_attributes:
        attributes = plain(event.attributes)
        if event.dropped_attributes:
            attributes = {**attributes, "otel.dropped_attributes_count": event.dropped_attributes}
        value = f"{json(value)}: {json(attributes)}"
    try:
        return {"timestamp": event.timestamp // MICRO, "value": value}
    except TypeError:  # as above
        return {"timestamp": event.timestamp, "value": value}


def _link(link: Link) -> dict[str, object]:
    shown: dict[str, object] = {"traceId": f"{link.context.trace_id:032x}", "spanId": f"{link.context.span_id:016x}"}
    if link.context.trace_state:
        shown["traceState"] = link.context.trace_state.to_header()
    if link.attributes:
        shown["attributes"] = texts(link.attributes)
    return shown
