"""Spans from and to Zipkin v2 JSON objects; the decoder is as strict as Zipkin's own.

Zipkin's rules: ids are hex, the trace id of up to 128 bits is padded on the left, a parent id that is zero or the
span's own is ignored, and so is a time or duration of 0; unknown kinds are rejected. Unlike in Zipkin, ids may be
upper-case, and nothing is dropped: a tag value that is not a string becomes its JSON text, and an unknown field or an
invalid address becomes the tag `field.NAME`.
"""

from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from operator import itemgetter
from typing import Any

from pipeline.formats.invalid_input import InvalidInput, kept, shown
from tracelink.model.records import Annotation, Endpoint, ErrorRule, Flag, Span, parse_trace_id, print_trace_id

_KINDS = frozenset({"CLIENT", "SERVER", "PRODUCER", "CONSUMER"})
_FIELDS = frozenset(
    {
        "traceId", "id", "parentId", "kind", "name", "timestamp", "duration", "localEndpoint", "remoteEndpoint",
        "annotations", "tags", "debug", "shared",
    }
)  # fmt: skip
_ENDPOINT_FIELDS = frozenset({"serviceName", "ipv4", "ipv6", "port"})
_ID_CHARS = 16
_MAX_LONG = 2**63 - 1
_MAX_PORT = 65535


def parse_span(value: object, rule: ErrorRule) -> Span:
    """Return a decoded JSON value as a span; raises InvalidInput. `rule` decides if it is errored."""
    if not isinstance(value, dict):
        raise InvalidInput("no object", f"a span is a JSON object, not {shown(value)}")
    if "binaryAnnotations" in value:
        raise InvalidInput("Zipkin v1", "binaryAnnotations belong to Zipkin's v1 format; only v2 is supported")
    try:
        trace_id, flags = parse_trace_id(_text(value, "traceId") or "")
    except ValueError as error:
        raise InvalidInput("traceId", str(error)) from None
    span_id = _id(value, "id")
    if span_id is None:
        raise InvalidInput("id", "id must have 1 to 16 hex characters and not be zero")
    parent_id = _id(value, "parentId")
    if parent_id == span_id:
        parent_id = None
    spare: dict[str, str] = {}
    tags = _tags(value.get("tags"))
    span: Span = {
        "flags": flags,
        "traceId": trace_id,
        "id": span_id,
        "parentId": parent_id,
        "kind": _kind(value.get("kind")),
        "name": _text(value, "name"),
        "timestamp": _long(value.get("timestamp"), "timestamp") or None,
        "duration": _long(value.get("duration"), "duration") or None,
        "localEndpoint": _endpoint(value, "localEndpoint", spare),
        "remoteEndpoint": _endpoint(value, "remoteEndpoint", spare),
        "annotations": _annotations(value.get("annotations")),
        "tags": tags,
        "debug": _flag(value, "debug"),
        "shared": _flag(value, "shared"),
    }
    for name in value.keys() - _FIELDS:
        spare[name] = kept(value[name])
    for name, text in spare.items():
        tags[f"field.{name}"] = text
    if rule.span(tags):
        span["flags"] |= Flag.ERROR
    if parent_id is None:
        span["flags"] |= Flag.ROOT
    return span


def _text(value: Mapping[str, object], name: str) -> str | None:
    found = value.get(name)
    if found is not None and not isinstance(found, str):
        raise InvalidInput(name, f"{name} must be a string, not {shown(found)}")
    return found


def _flag(value: Mapping[str, object], name: str) -> bool | None:
    found = value.get(name)
    if found is not None and not isinstance(found, bool):
        raise InvalidInput(name, f"{name} must be true or false, not {shown(found)}")
    return found


def _kind(found: object) -> str | None:
    if found is None:
        return None
    if not isinstance(found, str) or found not in _KINDS:
        raise InvalidInput("kind", f"kind must be one of {', '.join(sorted(_KINDS))}, not {shown(found)}")
    return found


def _id(value: Mapping[str, object], name: str) -> str | None:
    """Return a span id with 16 lower-case characters, or None if it is absent or zero."""
    found = _text(value, name)
    if found is None:
        return None
    lowered = found.lower()
    if not 1 <= len(lowered) <= _ID_CHARS or not set(lowered) <= set("0123456789abcdef"):
        raise InvalidInput(name, f"{name} must have 1 to 16 hex characters, not {shown(found)}")
    return None if set(lowered) == {"0"} else lowered.zfill(_ID_CHARS)


def _long(found: object, name: str) -> int:
    """Return a number of microseconds, 0 if it is absent."""
    if found is None:
        return 0
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    if isinstance(found, bool) or not isinstance(found, int):
        raise InvalidInput(name, f"{name} must be a whole number of microseconds, not {shown(found)}")
    if not 0 <= found <= _MAX_LONG:
        raise InvalidInput(name, f"{name} must be from 0 to 2^63-1, not {shown(found)}")
    return found


def _endpoint(value: Mapping[str, object], name: str, spare: dict[str, str]) -> Endpoint | None:
    found = value.get(name)
    if found is None:
        return None
    if not isinstance(found, dict):
        raise InvalidInput(name, f"{name} must be an object, not {shown(found)}")
    for other in found.keys() - _ENDPOINT_FIELDS:
        spare[f"{name}.{other}"] = kept(found[other])
    endpoint: Endpoint = {"serviceName": _text(found, "serviceName") or None}
    ipv4, ipv6 = _text(found, "ipv4"), _text(found, "ipv6")
    if ipv4:
        _keep_address(endpoint, "ipv4", ipv4, spare, name)
    if ipv6:
        _keep_address(endpoint, "ipv6", ipv6, spare, name)
    port = found.get("port")
    if port is not None:
        if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= _MAX_PORT:
            raise InvalidInput("port", f"{name}.port must be from 0 to {_MAX_PORT}, not {shown(port)}")
        endpoint["port"] = port or None
    return endpoint if any(endpoint.values()) else None


def _keep_address(endpoint: Endpoint, version: str, text: str, spare: dict[str, str], name: str) -> None:
    try:
        if version == "ipv4":
            endpoint["ipv4"] = str(IPv4Address(text))
        else:
            endpoint["ipv6"] = str(IPv6Address(text))
    except AddressValueError:
        spare[f"{name}.{version}"] = text


def _annotations(found: object) -> list[Annotation]:
    if found is None:
        return []
    if not isinstance(found, list):
        raise InvalidInput("annotations", f"annotations must be a list, not {shown(found)}")
    return [_annotation(one) for one in found]


def _annotation(one: object) -> Annotation:
    if not isinstance(one, dict) or one.get("timestamp") is None or not isinstance(one.get("value"), str):
        raise InvalidInput("annotations", f"an annotation must have a timestamp and a value, not {shown(one)}")
    return {"timestamp": _long(one["timestamp"], "annotations"), "value": one["value"]}


def _tags(found: object) -> dict[str, str]:
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise InvalidInput("tags", f"tags must be an object, not {shown(found)}")
    return {name: kept(value) for name, value in found.items()}


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
