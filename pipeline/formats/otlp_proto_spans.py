"""Spans of OTLP in protobuf as ours: the same records as `tracelink.otel` makes of the SDK's spans."""

from collections.abc import Collection

from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message

from pipeline.formats import span_values
from pipeline.formats.invalid_input import InvalidInput
from pipeline.formats.otlp_common import SPAN_BYTES, TRACE_BYTES, Common, Limit
from pipeline.formats.otlp_proto_values import Values
from pipeline.formats.otlp_spans import CODES, KINDS, times
from pipeline.formats.span_values import FIRST_NANO, Spare
from pipeline.formats.zipkin_json import completed
from tracelink.model.endpoints import remote_endpoint
from tracelink.model.otel_mapping import MICRO, add_rest, add_status, event_text, link_shown, with_own
from tracelink.model.records import Annotation, ErrorRule, Flag, Span

_SHORT_ID = Flag.SHORT_ID.value
_ZERO = bytes(TRACE_BYTES)
_SHORT = bytes(TRACE_BYTES - SPAN_BYTES)
_ZIPKIN_KINDS = {number: None if name == "INTERNAL" else name for number, name in KINDS.items()} | {0: None}


class SpanDecoder:
    """Makes spans of messages; `rule` decides which are errored. It counts what they have in `limit`."""

    def __init__(self, rule: ErrorRule, values: Values, limit: Limit) -> None:
        self._rule = rule
        self._values = values
        self._limit = limit

    def span(self, span: Message, common: Common) -> Span:
        """Return a span; raises InvalidInput if its ids are none."""
        trace_id, span_id, parent_id = _ids(span)
        no_texts: list[str] = []
        own = self._values.attributes(span.attributes, no_texts)
        tags = with_own(common.tags, own, no_texts)
        status = span.status
        add_status(tags, CODES.get(status.code), status.message)
        dropped = (span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count)
        add_rest(tags, dropped, self._links(links) if (links := span.links) else [], span.trace_state)
        spare: Spare = {}
        timestamp, duration = _times(span, spare)
        number = span.kind
        kind = _ZIPKIN_KINDS[number] if number in _ZIPKIN_KINDS else span_values.kind(number, spare)
        return completed(
            {
                "flags": _SHORT_ID if trace_id.startswith(_SHORT) else 0,
                "traceId": trace_id,
                "id": span_id,
                "parentId": parent_id,
                "kind": kind,
                "name": span.name,
                "timestamp": timestamp,
                "duration": duration,
                "localEndpoint": {"serviceName": common.service},
                "remoteEndpoint": remote_endpoint(kind, own),
                "annotations": self._annotations(events, spare) if (events := span.events) else [],
                "tags": tags,
            },
            spare,
            self._rule,
        )

    def _annotations(self, events: Collection[Message.Event], spare: Spare) -> list[Annotation]:
        self._limit.parts(len(events))
        annotations: list[Annotation] = []
        odd: list[object] = []
        for event in events:
            attributes = self._values.attributes(event.attributes)
            value = event_text(event.name, attributes, event.dropped_attributes_count)
            nanos = event.time_unix_nano
            time = nanos // MICRO if nanos >= FIRST_NANO else span_values.instant(nanos or None)
            if time is None:
                odd.append({"timestamp": nanos or None, "value": value})
            else:
                annotations.append({"timestamp": time, "value": value})
        if odd:
            span_values.keep(spare, "annotations", odd)
        return annotations

    def _links(self, links: Collection[Message.Link]) -> list[dict[str, object]]:
        self._limit.parts(len(links))
        return [
            link_shown(
                link.trace_id.hex(), link.span_id.hex(), link.trace_state, self._values.attributes(link.attributes)
            )
            for link in links
        ]


def _ids(span: Message) -> tuple[bytes, str, str | None]:
    """Return trace id, id and parent id; a parent that is zero or the span itself is none, as in Zipkin."""
    trace_id, span_id, parent_id = span.trace_id, span.span_id, span.parent_span_id
    if len(trace_id) != TRACE_BYTES or trace_id == _ZERO:
        raise InvalidInput("traceId", f"a trace id has {TRACE_BYTES} bytes and is not zero, not {trace_id.hex()!r:.60}")
    if len(span_id) != SPAN_BYTES or _ZERO.startswith(span_id):
        raise InvalidInput("id", f"a span id has {SPAN_BYTES} bytes and is not zero, not {span_id.hex()!r:.60}")
    if not parent_id or parent_id == span_id:
        return trace_id, span_id.hex(), None
    if len(parent_id) != SPAN_BYTES:
        raise InvalidInput("parentId", f"a parent's id has {SPAN_BYTES} bytes, not {parent_id.hex()!r:.60}")
    return trace_id, span_id.hex(), None if _ZERO.startswith(parent_id) else parent_id.hex()


def _times(span: Message, spare: Spare) -> tuple[int | None, int | None]:
    """Return start and duration; if one is missing, in another unit or before the other, as in JSON."""
    start, end = span.start_time_unix_nano, span.end_time_unix_nano
    if FIRST_NANO <= start <= end:
        return start // MICRO, (end - start) // MICRO or 1
    begun, took, rest = times(start or None, end or None)
    for name, value in rest.items():
        span_values.keep(spare, name, value)
    return span_values.time(begun, "timestamp", spare), took
