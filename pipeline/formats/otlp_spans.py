"""Spans from OTLP in JSON (opentelemetry-proto, trace.proto), as objects of Zipkin v2.

The mapping is `tracelink.model.otel_mapping`: a span is the same record whether the SDK publishes it or a file of the
Collector has it. Ids are hex, or base64 as protobuf's JSON has them; enums are numbers or names; 64-bit integers are
texts or numbers. Envelopes of Tempo and Jaeger (`batches`, `trace`, `result`) are opened.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from pipeline.formats import span_values
from pipeline.formats.invalid_input import InvalidInput, kept, shown
from pipeline.formats.otlp_common import SPAN_BYTES, TRACE_BYTES, Common, Limit
from pipeline.formats.otlp_fields import (
    dropped,
    field,
    hex_id,
    is_nano,
    is_number,
    nanoseconds,
    object_field,
    text_field,
)
from pipeline.formats.otlp_groups import Names, Reader, check
from pipeline.formats.otlp_values import Values
from tracelink.model.endpoints import remote_endpoint
from tracelink.model.otel_mapping import MICRO, add_rest, add_status, event_text, link_shown, with_own
from tracelink.model.shared_tags import SharedTags
from tracelink.texts import text

Json = dict[str, Any]

_ENVELOPES = ("trace", "result")
_NAMES = Names(
    ("resourceSpans", "resource_spans", "batches"),
    ("scopeSpans", "scope_spans", "instrumentationLibrarySpans", "instrumentation_library_spans"),
    ("spans",),
)
KINDS = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}
"""The names of the numbers of kinds."""
CODES = {1: "OK", 2: "ERROR"}
"""The names of the numbers of a status; 0 is unset."""
_ZIPKIN_KINDS = frozenset({"SERVER", "CLIENT", "PRODUCER", "CONSUMER"})
_CONVERTED = frozenset(
    {
        "traceId", "spanId", "parentSpanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano", "attributes",
        "events", "links", "status", "traceState", "flags", "droppedAttributesCount", "droppedEventsCount",
        "droppedLinksCount",
        "trace_id", "span_id", "parent_span_id", "start_time_unix_nano", "end_time_unix_nano", "trace_state",
        "dropped_attributes_count", "dropped_events_count", "dropped_links_count",
    }
)  # fmt: skip
_NO_SHARED = Common(None, SharedTags(), None)
_SHORT = "0" * TRACE_BYTES


def is_otlp(value: Json) -> bool:
    """Return True for spans in OTLP, in any of its envelopes, or one span of it."""
    inner = _opened(value)
    return any(name in inner for name in (*_NAMES.resources, *_NAMES.scopes)) or _is_span(inner)


def v2_spans(value: Json) -> Iterator[tuple[str, Json | InvalidInput]]:
    """Yield each span as an object of Zipkin v2, or why it is none, with its place in the value.

    A field that OTLP does not have stays with the object.
    """
    yield from _spans(_opened(value), Limit(), Counter(), unknown=True)


def v2_spans_of_request(value: Json, limit: Limit, notes: Counter[str]) -> Iterator[tuple[str, Json | InvalidInput]]:
    """Yield the same, but without fields that OTLP does not have, as the protocol wants it.

    `notes` counts ids in base64. Raises TooManyRecords if there is more than the limit takes.
    """
    value = _opened(value)
    is_resource = any(name in value for name in _NAMES.scopes)
    check({_NAMES.resources[0]: [value]} if is_resource else value, _NAMES, limit)
    yield from _spans(value, limit, notes, unknown=False)


def _spans(
    value: Json, limit: Limit, notes: Counter[str], *, unknown: bool
) -> Iterator[tuple[str, Json | InvalidInput]]:
    converter = _Converter(limit, notes, unknown=unknown)
    reader = Reader(_NAMES, converter.values, converter.convert)
    if _is_span(value):
        try:
            yield "", converter.convert(value, _NO_SHARED)
        except InvalidInput as error:
            yield "", error
    elif any(name in value for name in _NAMES.scopes):
        yield from reader.resource(value)
    else:
        yield from reader.request(value)


def _opened(value: Json) -> Json:
    """Return what is in an envelope; of a request only its resources, for what is beside them says nothing."""
    if _NAMES.resources[0] not in value:
        value = next((value[name] for name in _ENVELOPES if isinstance(value.get(name), dict)), value)
    return {name: value[name] for name in _NAMES.resources if name in value} or value


class _Converter:
    def __init__(self, limit: Limit, notes: Counter[str], *, unknown: bool) -> None:
        self.values = Values(limit)
        self._limit = limit
        self._notes = notes
        self._unknown = unknown

    def convert(self, span: object, common: Common) -> Json:
        """Return a span as an object of Zipkin v2; raises InvalidInput."""
        if not isinstance(span, dict):
            raise InvalidInput("OTLP", f"a span is a JSON object, not {shown(span)}")
        own = self.values.attributes(span.get("attributes"))
        kind = _kind(span.get("kind"))
        trace_id = hex_id(span, "traceId", TRACE_BYTES, self._notes)
        if isinstance(trace_id, str) and len(trace_id) == len(_SHORT) * 2:
            trace_id = trace_id.removeprefix(_SHORT)  # as the SDK, which has numbers
        start, took, spare = times(nanoseconds(span, "startTimeUnixNano"), nanoseconds(span, "endTimeUnixNano"))
        found = {
            "traceId": trace_id,
            "id": hex_id(span, "spanId", SPAN_BYTES, self._notes),
            "parentId": hex_id(span, "parentSpanId", SPAN_BYTES, self._notes),
            "kind": kind,
            "name": text_field(span, "name"),
            "timestamp": start,
            "duration": took,
            "localEndpoint": {"serviceName": common.service},
            "remoteEndpoint": remote_endpoint(kind if kind in _ZIPKIN_KINDS else None, own),
            "annotations": [self._annotation(event) for event in self._items(span, "events")],
            "tags": self._tags(span, with_own(common.tags, own)),
        } | spare
        return {name: span[name] for name in span.keys() - _CONVERTED} | found if self._unknown else found

    def _tags(self, span: Json, tags: dict[str, str]) -> dict[str, str]:
        status = object_field(span, "status")
        add_status(tags, _code(status.get("code")), text_field(status, "message"))
        counts = (dropped(span, "Attributes"), dropped(span, "Events"), dropped(span, "Links"))
        links = [self._link(link) for link in self._items(span, "links")]
        add_rest(tags, counts, links, text_field(span, "traceState"))
        return tags

    def _link(self, link: Json) -> dict[str, object]:
        trace_id = hex_id(link, "traceId", TRACE_BYTES, self._notes)
        span_id = hex_id(link, "spanId", SPAN_BYTES, self._notes)
        found = self.values.attributes(link.get("attributes"))
        return link_shown(text(trace_id or ""), text(span_id or ""), text_field(link, "traceState"), found)

    def _annotation(self, event: Json) -> Json:
        found = self.values.attributes(event.get("attributes"))
        time = nanoseconds(event, "timeUnixNano")
        return {
            "timestamp": time // MICRO if is_nano(time) else time,
            "value": event_text(text_field(event, "name"), found, dropped(event, "Attributes")),
        }

    def _items(self, value: Json, name: str) -> list[Json]:
        """Return a list of objects; raises InvalidInput."""
        found = value.get(name) or []
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise InvalidInput("OTLP", f"{name} must be a list of objects, not {shown(found)}")
        self._limit.parts(len(found))
        return found


def _kind(found: object) -> str | None:
    """Return one of Zipkin's kinds, None for an internal or unspecified one, any other value as text."""
    if isinstance(found, str):
        found = found.upper().removeprefix("SPAN_KIND_")
        found = int(found) if is_number(found) else found
    name = KINDS.get(found, found) if isinstance(found, int) else found
    return None if name in (None, "", 0, "INTERNAL", "UNSPECIFIED") else kept(name)


def _code(found: object) -> str | None:
    """Return the name of a status, which may be a number or a text."""
    name = text(found).upper().removeprefix("STATUS_CODE_")
    return CODES.get(int(name), name) if is_number(name) else name


def times(start: object, end: object) -> tuple[object, int | None, Json]:
    """Return the start of a span, its microseconds, at least one, and the end if it gives no duration.

    The start is in microseconds if both are in nanoseconds, as they should be; else it is as it came. There is no
    duration if one of them is missing, or the end is before the start.
    """
    if is_nano(start) and is_nano(end) and start <= end:
        return start // MICRO, (end - start) // MICRO or 1, {}
    begun, ended = span_values.instant(start), span_values.instant(end)
    if begun and ended and begun <= ended:
        return start, max(1, ended - begun), {}
    return start, None, {} if end is None else {"endTimeUnixNano": end}


def _is_span(value: Json) -> bool:
    return bool(field(value, "spanId") and field(value, "startTimeUnixNano"))
