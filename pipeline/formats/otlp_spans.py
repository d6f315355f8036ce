"""Spans from OTLP in JSON (opentelemetry-proto, trace.proto), as objects of Zipkin v2.

The mapping is OpenTelemetry's own to Zipkin, as in `tracelink.otel.spans`: a span is the same record whether the SDK
publishes it or a file of the Collector has it. Ids are hex, or base64 as protobuf's JSON has them; enums are numbers or
names; 64-bit integers are texts or numbers. Envelopes of Tempo and Jaeger (`batches`, `trace`, `result`) are opened.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from pipeline.formats import span_values as values
from pipeline.formats.invalid_input import InvalidInput, kept, shown
from pipeline.formats.otlp_values import attributes, decode_base64, field
from tracelink.model.endpoints import remote_endpoint

Json = dict[str, Any]

_ENVELOPES = ("trace", "result")
_RESOURCES = ("resourceSpans", "resource_spans", "batches")
_SCOPES = ("scopeSpans", "scope_spans", "instrumentationLibrarySpans", "instrumentation_library_spans")
_KINDS = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}
_ZIPKIN_KINDS = frozenset({"SERVER", "CLIENT", "PRODUCER", "CONSUMER"})
_CODES = {1: "OK", 2: "ERROR"}
_CONVERTED = frozenset(
    {
        "traceId", "spanId", "parentSpanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano", "attributes",
        "events", "links", "status", "traceState", "flags", "droppedAttributesCount", "droppedEventsCount",
        "droppedLinksCount",
    }
)  # fmt: skip
_TRACE_BYTES, _SPAN_BYTES = 16, 8


def is_otlp(value: Json) -> bool:
    """Return True for spans in OTLP, in any of its envelopes, or one span of it."""
    inner = _opened(value)
    return any(name in inner for name in (*_RESOURCES, *_SCOPES)) or _is_span(inner)


def v2_spans(value: Json) -> Iterator[tuple[str, Json | InvalidInput]]:
    """Yield each span as an object of Zipkin v2, or why it is none, with its place in the value."""
    value = _opened(value)
    if _is_span(value):
        yield from _spans([value], {}, {}, "")
    elif any(name in value for name in _SCOPES):
        yield from _resource(value, "")
    else:
        for name in _RESOURCES:
            for place, found in _each(value, name, ""):
                yield from [(place, found)] if isinstance(found, InvalidInput) else _resource(found, f"{place}.")


def _opened(value: Json) -> Json:
    return next((value[name] for name in _ENVELOPES if isinstance(value.get(name), dict)), value)


def _resource(group: Json, path: str) -> Iterator[tuple[str, Json | InvalidInput]]:
    try:
        resource = attributes(_object(group, "resource").get("attributes"))
        service = resource.pop("service.name", None)
        if url := field(group, "schemaUrl"):
            resource["otel.resource.schema_url"] = url
        endpoint = {"serviceName": service}
        for name in _SCOPES:
            for place, scope in _each(group, name, path):
                yield from (
                    [(place, scope)] if isinstance(scope, InvalidInput) else _scope(scope, endpoint, resource, place)
                )
    except InvalidInput as error:
        yield path.removesuffix("."), error


def _scope(group: Json, endpoint: Json, resource: Json, path: str) -> Iterator[tuple[str, Json | InvalidInput]]:
    try:
        common = resource | _scope_tags(group)
    except InvalidInput as error:
        yield path, error
    else:
        yield from _spans(group.get("spans"), endpoint, common, f"{path}.spans")


def _scope_tags(group: Json) -> Json:
    scope = _object(group, "scope") or _object(group, "instrumentationLibrary")
    tags = {f"otel.scope.{name}": value for name, value in attributes(scope.get("attributes")).items()}
    named = {"name": scope.get("name"), "version": scope.get("version"), "schema_url": field(group, "schemaUrl")}
    return tags | {f"otel.scope.{name}": value for name, value in named.items() if value}


def _spans(found: object, endpoint: Json, common: Json, path: str) -> Iterator[tuple[str, Json | InvalidInput]]:
    if found is not None and not isinstance(found, list):
        yield path, InvalidInput("OTLP", f"spans must be a list, not {shown(found)}")
        return
    for number, span in enumerate(found or ()):
        place = f"{path}[{number}]" if path else ""
        try:
            if not isinstance(span, dict):
                raise InvalidInput("OTLP", f"a span is a JSON object, not {shown(span)}")
            yield place, _converted(span, endpoint, common)
        except InvalidInput as error:
            yield place, error


def _converted(span: Json, endpoint: Json, common: Json) -> Json:
    own = attributes(span.get("attributes"))
    kind = _kind(span.get("kind"))
    tags = common | own
    for name in common.keys() & own.keys():  # the span's own attribute wins, the resource's is renamed
        tags[f"resource.{name}"] = common[name]
    _add_status(tags, _object(span, "status"))
    for what in "attributes", "events", "links":
        if count := field(span, f"dropped{what.title()}Count"):
            tags[f"otel.dropped_{what}_count"] = count
    if links := _items(span, "links"):
        tags["otel.links"] = [_link(link) for link in links]
    if state := field(span, "traceState"):
        tags["w3c.tracestate"] = state
    start, end = field(span, "startTimeUnixNano"), field(span, "endTimeUnixNano")
    took = _duration(start, end)
    rest = {name: one for name, one in span.items() if _camel(name) not in _CONVERTED}
    if took is None and end not in (None, "", "0", 0):
        rest["endTimeUnixNano"] = end
    return rest | {
        "traceId": _id(field(span, "traceId"), _TRACE_BYTES),
        "id": _id(field(span, "spanId"), _SPAN_BYTES),
        "parentId": _id(field(span, "parentSpanId"), _SPAN_BYTES),
        "kind": kind,
        "name": span.get("name"),
        "timestamp": start,
        "duration": took,
        "localEndpoint": endpoint,
        "remoteEndpoint": remote_endpoint(kind if kind in _ZIPKIN_KINDS else None, own),
        "annotations": [_annotation(event) for event in _items(span, "events")],
        "tags": tags,
    }


def _kind(found: object) -> str | None:
    """Return one of Zipkin's kinds, None for an internal or unspecified one, any other value as text."""
    if isinstance(found, str):
        found = found.upper().removeprefix("SPAN_KIND_")
        found = int(found) if found.isdecimal() else found
    name = _KINDS.get(found, found) if isinstance(found, int) else found
    return None if name in (None, "", 0, "INTERNAL", "UNSPECIFIED") else kept(name)


def _add_status(tags: Json, status: Json) -> None:
    """Set the status, and `error` only on a failed span, as `tracelink.otel.spans` does."""
    code = status.get("code")
    code = _CODES.get(code, code) if isinstance(code, int) else str(code or "").upper().removeprefix("STATUS_CODE_")
    code = _CODES.get(int(code), code) if isinstance(code, str) and code.isdecimal() else code
    message = status.get("message")
    if code == "ERROR":
        if "error" in tags:
            tags["attribute.error"] = tags["error"]
        tags["error"] = message or ""
    elif "error" in tags and (code == "OK" or kept(tags["error"]) in {"false", ""}):
        tags["attribute.error"] = tags.pop("error")
    if code in {"ERROR", "OK"}:
        tags["otel.status_code"] = code
    if message and code != "ERROR":
        tags["otel.status_description"] = message


def _annotation(event: Json) -> Json:
    found = attributes(event.get("attributes"))
    if dropped := field(event, "droppedAttributesCount"):
        found["otel.dropped_attributes_count"] = dropped
    return {"timestamp": field(event, "timeUnixNano"), "value": values.event_text(kept(event.get("name") or ""), found)}


def _link(link: Json) -> Json:
    shown_link: Json = {
        "traceId": _id(field(link, "traceId"), _TRACE_BYTES),
        "spanId": _id(field(link, "spanId"), _SPAN_BYTES),
    }
    if state := field(link, "traceState"):
        shown_link["traceState"] = state
    if found := attributes(link.get("attributes")):
        shown_link["attributes"] = {name: kept(value) for name, value in found.items()}
    return shown_link


def _id(found: object, size: int) -> object:
    """Return an id as hex: base64 of so many bytes is decoded, anything else is left as it is."""
    if not isinstance(found, str) or not found:
        return None if found == "" else found
    decoded = None if set(found.lower()) <= values.HEX else decode_base64(found)
    return decoded.hex() if decoded is not None and len(decoded) == size else found


def _duration(start: object, end: object) -> int | None:
    """Return the microseconds from start to end, at least one; None if one is missing or they are in wrong order."""
    begun, ended = values.instant(start), values.instant(end)
    if not begun or not ended or ended < begun:
        return None
    nanos = [int(one) for one in (start, end) if isinstance(one, int) or (isinstance(one, str) and one.isdecimal())]
    if len(nanos) == 2 and min(nanos) >= values.LAST_MICRO:  # noqa: PLR2004 - both are in the unit that they should have
        return max(1, (nanos[1] - nanos[0]) // 1000)
    return max(1, ended - begun)


def _is_span(value: Json) -> bool:
    return bool(field(value, "spanId") and field(value, "startTimeUnixNano"))


@lru_cache(maxsize=256)
def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.title() for word in rest)


def _object(value: Json, name: str) -> Json:
    found = value.get(name)
    if found is not None and not isinstance(found, dict):
        raise InvalidInput("OTLP", f"{name} must be an object, not {shown(found)}")
    return found or {}


def _items(value: Json, name: str) -> list[Json]:
    """Return a list of objects."""
    found = value.get(name) or []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InvalidInput("OTLP", f"{name} must be a list of objects, not {shown(found)}")
    return found


def _each(value: Json, name: str, path: str) -> Iterable[tuple[str, Json | InvalidInput]]:
    """Yield the elements of a list with their places."""
    found = value.get(name)
    if found is None:
        return
    if not isinstance(found, list):
        yield f"{path}{name}", InvalidInput("OTLP", f"{name} must be a list, not {shown(found)}")
        return
    for number, one in enumerate(found):
        place = f"{path}{name}[{number}]"
        yield place, one if isinstance(one, dict) else InvalidInput("OTLP", f"not an object: {shown(one)}")
