"""Spans from the messages of zipkin.proto3, as `zipkin_json.parse_span` returns them from the same spans in JSON."""

from collections import Counter
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Any, Literal

from pipeline.formats import span_values as values
from pipeline.formats.invalid_input import InvalidInput
from pipeline.formats.request_bytes import utf8
from pipeline.formats.span_values import FIRST_MICRO, LAST_MICRO, MAX_PORT, Spare
from pipeline.formats.zipkin_json import completed
from pipeline.formats.zipkin_messages import SpanMessage, SpanOfBytes
from tracelink.model.records import NO_TRACE, Annotation, Endpoint, ErrorRule, Span, parse_trace_id
from tracelink.texts import free_name

_KINDS = (None, "CLIENT", "SERVER", "PRODUCER", "CONSUMER")
_NO_ID = bytes(8)
_IPV4_BYTES, _IPV6_BYTES = 4, 16


def parse_message(message: Any, rule: ErrorRule) -> Span:  # noqa: ANN401 - protobuf has no types
    """Return a `SpanMessage` as a span; raises InvalidInput. `rule` decides if it is errored.

    Zero, false and empty values are absent, as the format has it.
    """
    spare: Spare = {}
    trace_id, flags = _trace_id(message.trace_id)
    span_id = _span_id(message.id, "id")
    if span_id is None:
        raise InvalidInput("id", "id must have 1 to 8 bytes and not be zero")
    parent = message.parent_id
    parent_id = _span_id(parent, "parentId") if parent else None
    kind = message.kind
    time = message.timestamp
    if not FIRST_MICRO <= time < LAST_MICRO:
        time = values.time(time, "timestamp", spare)
    duration = message.duration
    if not 0 < duration < LAST_MICRO:
        duration = values.duration(duration, "duration", spare)
    span: Span = {
        "flags": flags,
        "traceId": trace_id,
        "id": span_id,
        "parentId": None if parent_id == span_id else parent_id,
        "kind": _KINDS[kind] if 0 <= kind < len(_KINDS) else values.kind(kind, spare),
        "name": message.name or None,
        "timestamp": time,
        "duration": duration,
        "localEndpoint": _endpoint(message.local_endpoint, "localEndpoint", spare),
        "remoteEndpoint": _endpoint(message.remote_endpoint, "remoteEndpoint", spare),
        "annotations": _annotations(message.annotations, spare),
        "tags": dict(message.tags),
        "debug": message.debug or None,
        "shared": message.shared or None,
    }
    return completed(span, spare, rule)


def _trace_id(raw: bytes) -> tuple[bytes, int]:
    """Return the 16 bytes of a trace id, and its flag; raises InvalidInput."""
    if len(raw) == len(NO_TRACE) and raw != NO_TRACE:
        return raw, 0
    try:
        return parse_trace_id(raw.hex())
    except ValueError as error:
        raise InvalidInput("traceId", str(error)) from None


def _span_id(raw: bytes, name: str) -> str | None:
    """Return a span id with 16 lower-case characters, None if it is zero; raises InvalidInput."""
    return raw.hex() if len(raw) == len(_NO_ID) and raw != _NO_ID else values.span_id(raw.hex(), name)


def _endpoint(found: Any, field: str, spare: Spare) -> Endpoint | None:  # noqa: ANN401 - as above
    endpoint: Endpoint = {"serviceName": found.service_name or None}
    for name, raw in (("ipv4", found.ipv4), ("ipv6", found.ipv6)):
        if not raw:
            continue
        address = _address(raw)
        if address is None:
            values.keep(spare, f"{field}.{name}", raw.hex())
        elif endpoint.setdefault(address[0], address[1]) != address[1]:
            values.keep(spare, f"{field}.{name}", address[1])
    port = found.port
    if port:
        endpoint["port"] = port if 0 < port <= MAX_PORT else values.port(port, f"{field}.port", spare)
    return endpoint if any(endpoint.values()) else None


@lru_cache(maxsize=1024)
def _address(raw: bytes) -> tuple[Literal["ipv4", "ipv6"], str] | None:
    """Return an address as text with the field that it belongs to, or None if it has another length."""
    if len(raw) == _IPV4_BYTES:
        return "ipv4", ".".join(map(str, raw))
    return ("ipv6", str(IPv6Address(raw))) if len(raw) == _IPV6_BYTES else None


def _annotations(found: Any, spare: Spare) -> list[Annotation]:  # noqa: ANN401 - as above
    if not found:
        return []
    annotations: list[Annotation] = []
    odd: list[dict[str, object]] = []
    for one in found:
        time = one.timestamp
        if not FIRST_MICRO <= time < LAST_MICRO:
            time = values.instant(time)
        if time is None:
            odd.append({"timestamp": one.timestamp, "value": one.value})
        else:
            annotations.append({"timestamp": time, "value": one.value})
    if odd:
        values.keep(spare, "annotations", odd)
    return annotations


def repaired(raw: bytes, notes: Counter[str]) -> Any:  # noqa: ANN401 - as above
    """Return the `SpanMessage` of bytes some of whose strings are not UTF-8, with U+FFFD for what is none.

    Each such string is noted. Raises protobuf's DecodeError for bytes that are no span.
    """
    span = SpanOfBytes.FromString(raw)
    span.name = utf8(span.name, notes)
    for endpoint in span.local_endpoint, span.remote_endpoint:
        endpoint.service_name = utf8(endpoint.service_name, notes)
    for annotation in span.annotations:
        annotation.value = utf8(annotation.value, notes)
    # As in a map, the last of two equal names counts.
    tags = {tag.key: tag.value for tag in span.tags}
    del span.tags[:]
    taken: set[str] = set()
    for name, value in tags.items():
        # Names may differ only in what is not UTF-8.
        taken.add(free := free_name(taken, utf8(name, notes).decode()))
        span.tags.add(key=free.encode(), value=utf8(value, notes))
    return SpanMessage.FromString(span.SerializeToString())
