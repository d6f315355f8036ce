"""Spans from and to Zipkin v2 JSON objects; the decoder takes what Zipkin's own takes, and nearly right values.

Zipkin's rules: ids are hex, the trace id of up to 128 bits is padded on the left, a parent id that is zero or the
span's own is ignored, and so is a time or duration of 0; numbers may be texts and the reverse. Only a span without
valid ids, or whose parts have a wrong shape, is refused. Nothing is dropped: a tag value that is not a string becomes
its JSON text; an unknown field, and a value without a plain meaning (see `span_values`), becomes the tag `field.NAME`.
"""

from operator import itemgetter
from typing import Any

from pipeline.formats import span_values as values
from pipeline.formats.invalid_input import InvalidInput, kept, shown
from pipeline.formats.span_values import FIRST_MICRO, LAST_MICRO, MAX_PORT, Spare
from pipeline.formats.trace_ids import read_trace_id
from tracelink.model.records import (
    NO_TRACE,
    Annotation,
    Endpoint,
    ErrorRule,
    Flag,
    Span,
    parse_trace_id,
    print_trace_id,
)

# A tuple, because a kind may be an object or a list, which have no hash.
_KINDS = (None, "CLIENT", "SERVER", "PRODUCER", "CONSUMER")
_FIELDS = frozenset(
    {
        "traceId", "id", "parentId", "kind", "name", "timestamp", "duration", "localEndpoint", "remoteEndpoint",
        "annotations", "tags", "debug", "shared",
    }
)  # fmt: skip
_ENDPOINT_FIELDS = frozenset({"serviceName", "ipv4", "ipv6", "port"})
_ANNOTATION_FIELDS = frozenset({"timestamp", "value"})


def parse_span(value: object, rule: ErrorRule) -> Span:
    """Return a decoded JSON value as a span; raises InvalidInput. `rule` decides if it is errored."""
    if not isinstance(value, dict):
        raise InvalidInput("no object", f"a span is a JSON object, not {shown(value)}")
    spare: Spare = {}
    trace_id, flags, span_id, parent_id = _ids(value, spare)
    tags = _tags(value.get("tags"))
    kind = value.get("kind")
    name = value.get("name")
    time = value.get("timestamp")
    if type(time) is not int or not FIRST_MICRO <= time < LAST_MICRO:
        time = values.time(time, "timestamp", spare)
    duration = value.get("duration")
    if type(duration) is not int or not 0 < duration < LAST_MICRO:
        duration = values.duration(duration, "duration", spare)
    span: Span = {
        "flags": flags,
        "traceId": trace_id,
        "id": span_id,
        "parentId": parent_id,
        "kind": kind if kind in _KINDS else values.kind(kind, spare),
        "name": name if name is None or isinstance(name, str) else kept(name),
        "timestamp": time,
        "duration": duration,
        "localEndpoint": _endpoint(value.get("localEndpoint"), "localEndpoint", spare),
        "remoteEndpoint": _endpoint(value.get("remoteEndpoint"), "remoteEndpoint", spare),
        "annotations": _annotations(value.get("annotations"), spare),
        "tags": tags,
        "debug": values.flag(value.get("debug"), "debug", spare),
        "shared": values.flag(value.get("shared"), "shared", spare),
    }
    for other in value.keys() - _FIELDS:
        if value[other] is not None:
            spare[other] = kept(value[other])
    return completed(span, spare, rule)


def completed(span: Span, spare: Spare, rule: ErrorRule) -> Span:
    """Return a span with its flags, and with what its fields cannot hold as tags."""
    tags = span["tags"]
    for field, text in spare.items():
        values.keep(tags, f"field.{field}", text)
    if rule.span(tags):
        span["flags"] |= Flag.ERROR
    if span["parentId"] is None:
        span["flags"] |= Flag.ROOT
    return span


def _ids(value: dict[str, Any], spare: Spare) -> tuple[bytes, int, str, str | None]:
    """Return trace id, flags, id and parent id; a trace id in another system's spelling is kept, too."""
    text = values.id_text(value.get("traceId"), "traceId") or ""
    try:
        trace_id, flags = parse_trace_id(text)
    except ValueError as error:
        foreign = read_trace_id(text)
        if foreign is None or foreign.value == NO_TRACE:
            raise InvalidInput("traceId", str(error)) from None
        trace_id, flags, spare["traceId"] = foreign.value, foreign.flags, text
    span_id = values.span_id(value.get("id"), "id")
    if span_id is None:
        raise InvalidInput("id", "id must have 1 to 16 hex characters and not be zero")
    # Some exporters write an empty one at the root.
    parent_id = values.span_id(value.get("parentId") or None, "parentId")
    return trace_id, flags, span_id, None if parent_id == span_id else parent_id


def _endpoint(found: object, field: str, spare: Spare) -> Endpoint | None:
    if not found:  # some languages write an empty object as a list
        return None
    if not isinstance(found, dict):
        raise InvalidInput(field, f"{field} must be an object, not {shown(found)}")
    service = found.get("serviceName")
    if service is not None and not isinstance(service, str):
        service = kept(service)
    endpoint: Endpoint = {"serviceName": service or None}
    for name in "ipv4", "ipv6":
        if text := found.get(name):
            values.address(text, f"{field}.{name}", endpoint, spare)
    port = found.get("port")
    if port is not None:
        known = type(port) is int and 0 < port <= MAX_PORT
        endpoint["port"] = port if known else values.port(port, f"{field}.port", spare)
    for other in found.keys() - _ENDPOINT_FIELDS:
        if found[other] is not None:
            spare[f"{field}.{other}"] = kept(found[other])
    return endpoint if any(endpoint.values()) else None


def _annotations(found: object, spare: Spare) -> list[Annotation]:
    if not found:
        return []
    if not isinstance(found, list):
        raise InvalidInput("annotations", f"annotations must be a list, not {shown(found)}")
    annotations: list[Annotation] = []
    odd: list[object] = []
    for one in found:
        annotation = _annotation(one)
        if annotation is not None:
            annotations.append(annotation)
        if annotation is None or (len(one) != len(_ANNOTATION_FIELDS) and _says_more(one)):
            odd.append(one)
    if odd:
        values.keep(spare, "annotations", odd)
    return annotations


def _annotation(one: Any) -> Annotation | None:  # noqa: ANN401 - any JSON
    """Return an annotation, whose time may be zero or negative; None if it has no time or no value."""
    if not isinstance(one, dict):
        return None
    time, value = one.get("timestamp"), one.get("value")
    if type(time) is not int or not FIRST_MICRO <= time < LAST_MICRO:
        time = values.instant(time)
    if time is None or value is None:
        return None
    return {"timestamp": time, "value": kept(value)}


def _says_more(one: dict[str, object]) -> bool:
    return any(one[name] is not None for name in one.keys() - _ANNOTATION_FIELDS)


def _tags(found: object) -> dict[str, str]:
    if not found:
        return {}
    if not isinstance(found, dict):
        raise InvalidInput("tags", f"tags must be an object, not {shown(found)}")
    return {name: kept(value) for name, value in found.items() if value is not None}


_VALUE = itemgetter(1)


def zipkin_span(span: Span) -> dict[str, Any]:
    """Return a span as a JSON object of Zipkin v2, with its trace id as it arrived.

    Null, empty, zero and false values are left out: Zipkin treats a zero timestamp or duration as absent.
    """
    found: dict[str, Any] = dict(filter(_VALUE, span.items()))
    found.pop("flags", None)
    found["traceId"] = print_trace_id(span["traceId"], span["flags"])
    if local := found.get("localEndpoint"):
        found["localEndpoint"] = dict(filter(_VALUE, local.items()))
    if remote := found.get("remoteEndpoint"):
        found["remoteEndpoint"] = dict(filter(_VALUE, remote.items()))
    return found
