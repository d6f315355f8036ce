"""Mapping of OpenTelemetry's spans to ours, by OpenTelemetry's published mapping to Zipkin."""

from opentelemetry.sdk.resources import SERVICE_NAME
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, SpanKind, StatusCode

from tracelink.model.endpoints import remote_endpoint
from tracelink.model.otel_mapping import (
    MICRO,
    UNKNOWN_SERVICE,
    Attributes,
    add_rest,
    add_status,
    event_text,
    link_shown,
    with_own,
)
from tracelink.model.records import Annotation, ErrorRule, Flag, Span
from tracelink.otel.values import Common, plain
from tracelink.texts import text

_KINDS = {
    SpanKind.CLIENT: "CLIENT",
    SpanKind.SERVER: "SERVER",
    SpanKind.PRODUCER: "PRODUCER",
    SpanKind.CONSUMER: "CONSUMER",
    SpanKind.INTERNAL: None,
}
_CODES = {StatusCode.ERROR: "ERROR", StatusCode.OK: "OK"}
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
            "localEndpoint": {"serviceName": text(span.resource.attributes.get(SERVICE_NAME, UNKNOWN_SERVICE))},
            "remoteEndpoint": remote_endpoint(kind, attributes),
            "annotations": [_annotation(event) for event in span.events],
            "tags": tags,
        }

    def _tags(self, span: ReadableSpan, attributes: Attributes) -> dict[str, str]:
        tags = with_own(self._common.tags(span.resource, span.instrumentation_scope), attributes)
        add_status(tags, _CODES.get(span.status.status_code), span.status.description)
        state = span.context.trace_state if span.context else None
        add_rest(
            tags,
            (span.dropped_attributes, span.dropped_events, span.dropped_links),
            [_link(link) for link in span.links],
            state.to_header() if state else "",
        )
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


def _annotation(event: Event) -> Annotation:
    value = event_text(text(event.name), plain(event.attributes), event.dropped_attributes)
    try:
        return {"timestamp": event.timestamp // MICRO, "value": value}
    except TypeError:  # as above
        return {"timestamp": event.timestamp, "value": value}


def _link(link: Link) -> dict[str, object]:
    context = link.context
    state = context.trace_state.to_header() if context.trace_state else ""
    return link_shown(f"{context.trace_id:032x}", f"{context.span_id:016x}", state, plain(link.attributes))
