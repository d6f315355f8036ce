"""Spans of OTLP in protobuf as ours: the same records as `tracelink.otel` makes of the SDK's spans."""

from collections.abc import Iterable

from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message

from pipeline.formats import span_values as values
from pipeline.formats.invalid_input import InvalidInput
from pipeline.formats.otlp_common import SPAN_BYTES, TRACE_BYTES, Common
from pipeline.formats.otlp_proto_values import attributes
from pipeline.formats.otlp_spans import CODES, KINDS, times
from pipeline.formats.span_values import FIRST_NANO, Spare
from tracelink.model.endpoints import remote_endpoint
from tracelink.model.otel_mapping import MICRO, add_rest, add_status, event_text, link_shown, with_own
from tracelink.model.records import Annotation, ErrorRule, Flag, Span

_ERROR, _ROOT, _SHORT_ID = Flag.ERROR.value, Flag.ROOT.value, Flag.SHORT_ID.value
_ZERO = bytes(TRACE_BYTES)
_SHORT = bytes(TRACE_BYTES - SPAN_BYTES)
_ZIPKIN_KINDS = {number: None if name == "INTERNAL" else name for number, name in KINDS.items()} | {0: None}


def span_of(span: Message, common: Common, rule: ErrorRule) -> Span:
    """Return a span; raises InvalidInput if its ids are none. `rule` decides if it is errored."""
    trace_id, span_id, parent_id = _ids(span)
    own = attributes(span.attributes)
    tags = with_own(common.tags, own)
    status = span.status
    add_status(tags, CODES.get(status.code), status.message)
    dropped = (span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count)
    links = [_link(link) for link in found] if (found := span.links) else []
    add_rest(tags, dropped, links, span.trace_state)
    spare: Spare = {}
    timestamp, took = _times(span, spare)
    number = span.kind
    kind = _ZIPKIN_KINDS[number] if number in _ZIPKIN_KINDS else values.kind(str(number), spare)
    annotations = _annotations(events, spare) if (events := span.events) else []
    for name, kept in spare.items():
        values.keep(tags, f"field.{name}", kept)
    flags = _ERROR if rule.span(tags) else 0
    if parent_id is None:
        flags |= _ROOT
    if trace_id.startswith(_SHORT):
        flags |= _SHORT_ID
    return {
        "flags": flags,
        "traceId": trace_id,
        "id": span_id,
        "parentId": parent_id,
        "kind": kind,
        "name": span.name,
        "timestamp": timestamp,
        "duration": took,
        "localEndpoint": {"serviceName": common.service},
        "remoteEndpoint": remote_endpoint(kind, own),
        "annotations": annotations,
        "tags": tags,
    }


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
        values.keep(spare, name, value)
    return values.time(begun, "timestamp", spare), took


def _annotations(events: Iterable[Message.Event], spare: Spare) -> list[Annotation]:
    annotations: list[Annotation] = []
    odd: list[object] = []
    for event in events:
        value = event_text(event.name, attributes(event.attributes), event.dropped_attributes_count)
        nanos = event.time_unix_nano
        time = nanos // MICRO if nanos >= FIRST_NANO else values.instant(nanos or None)
        if time is None:
            odd.append({"timestamp": nanos or None, "value": value})
        else:
            annotations.append({"timestamp": time, "value": value})
    if odd:
        values.keep(spare, "annotations", odd)
    return annotations


def _link(link: Message.Link) -> dict[str, object]:
    return link_shown(link.trace_id.hex(), link.span_id.hex(), link.trace_state, attributes(link.attributes))
