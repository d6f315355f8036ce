"""Spans from Zipkin v1 JSON objects, as objects of v2.

In v1 each annotation names its host. The core annotations (`cs` client send, `cr` client receive, `sr`, `ss`; `ms`,
`ws`, `wr`, `mr` for messages) are the start or the end of a side, and one span may have two sides: the client's and
the server's. Binary annotations are tags; `sa`, `ca` and `ma` are the address of the other side, and `lc` marks a local
span. Zipkin's own converter (zipkin2.v1.V1SpanConverter) reads them alike, but drops what has no place in v2.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pipeline.formats import span_values as values
from pipeline.formats.invalid_input import InvalidInput, shown
from tracelink.texts import free_name

Json = dict[str, Any]

_CORE = {
    "cs": ("CLIENT", "start"),
    "cr": ("CLIENT", "end"),
    "sr": ("SERVER", "start"),
    "ss": ("SERVER", "end"),
    "ms": ("PRODUCER", "start"),
    "ws": ("PRODUCER", "end"),
    "wr": ("CONSUMER", "start"),
    "mr": ("CONSUMER", "end"),
}
# The sides whose other side an address is; the broker's goes before those of client and server.
_ADDRESSES = {"ma": ("PRODUCER", "CONSUMER"), "sa": ("CLIENT", "PRODUCER"), "ca": ("SERVER", "CONSUMER")}
_TRUE = frozenset({"true", "1"})
_CALLERS = {"SERVER": "CLIENT", "CONSUMER": "PRODUCER"}
_V2_ONLY = frozenset({"kind", "localEndpoint", "remoteEndpoint"})
_CONVERTED = frozenset({"annotations", "binaryAnnotations", "timestamp", "duration"})
# Each annotation is compared with the hosts before it; a span has one or two, and a broken one a few more.
_MOST_HOSTS = 100
_COMMON = ("traceId", "parentId", "id", "name", "debug")


def is_v1(value: Json) -> bool:
    """Return True for a span in Zipkin's v1 format: it has binary annotations, or annotations with a host."""
    if "binaryAnnotations" in value:
        return True
    annotations = value.get("annotations")
    if not annotations or not isinstance(annotations, list) or not _V2_ONLY.isdisjoint(value):
        return False
    return any(isinstance(one, dict) and one.get("endpoint") for one in annotations)


def v2_spans(value: Json) -> list[Json]:
    """Return the sides of a span as objects of Zipkin v2; raises InvalidInput."""
    sides = _Sides()
    for one in _list(value, "annotations"):
        sides.annotate(one)
    for one in _list(value, "binaryAnnotations"):
        sides.tag(one)
    sides.address()
    if not sides.all and not value.get("timestamp"):
        raise InvalidInput("Zipkin v1", "a span in Zipkin's v1 format without a time, a host and a tag says nothing")
    return list(_converted(value, sides.all or [_Side()]))


@dataclass(slots=True)
class _Side:
    """What one host says of a span."""

    endpoint: object = None
    kind: str | None = None
    core: dict[str, Json] = field(default_factory=dict)
    """Its core annotations: `start` and `end`."""
    annotations: list[object] = field(default_factory=list)
    tags: Json = field(default_factory=dict)
    remote: object = None

    def time(self, edge: str) -> int | None:
        """Return the time of its start or its end, in microseconds."""
        return values.time(self.core[edge]["timestamp"], "timestamp", {}) if edge in self.core else None

    def put(self, name: str, value: object) -> None:
        """Add a tag; a second one of the same name gets an apostrophe."""
        self.tags[free_name(self.tags, name)] = value


class _Sides:
    """The sides of a span: one for each service that annotated it, two for a service that called itself."""

    def __init__(self) -> None:
        self.all: list[_Side] = []
        self._addresses: dict[str, object] = {}

    def annotate(self, one: object) -> None:
        """Add an annotation to the side of its host; a core annotation gives the side its kind.

        Raises InvalidInput.
        """
        fields = one if isinstance(one, dict) else {}
        value, endpoint = fields.get("value"), fields.get("endpoint")
        core = _CORE.get(value) if isinstance(value, str) else None
        if core is None:
            self._at(endpoint).annotations.append(one)
            return
        kind, edge = core
        side = self._at(endpoint, kind)
        side.kind = kind
        if edge in side.core or not values.time(fields.get("timestamp"), "timestamp", {}):
            side.annotations.append(one)
        else:
            side.core[edge] = fields

    def tag(self, one: object) -> None:
        """Add a binary annotation as a tag to the side of its host, or keep it as the address of the other side.

        Raises InvalidInput.
        """
        if not isinstance(one, dict) or not isinstance(one.get("key"), str):
            raise InvalidInput("Zipkin v1", f"a binary annotation must have a key, not {shown(one)}")
        key, value, endpoint = one["key"], one.get("value"), one.get("endpoint")
        if key in _ADDRESSES and endpoint and str(value).lower() in _TRUE and key not in self._addresses:
            self._addresses[key] = endpoint
            return
        side = self._at(endpoint)
        if value is not None and (key, value) != ("lc", ""):
            side.put(key, value)

    def address(self) -> None:
        """Give each side the address of its other side; call it once, when all annotations and tags are added."""
        for key, kinds in _ADDRESSES.items():
            if key not in self._addresses:
                continue
            endpoint = self._addresses[key]
            for side in [side for side in self.all if side.kind in kinds] or [self._unnamed(key)]:
                if side.remote is not None or (side.kind and side.kind not in kinds):
                    side.put(f"field.{key}", endpoint)
                elif key == "ca" and _service(endpoint) == _service(side.endpoint):
                    # Finagle gives the client's port the name of the server.
                    side.remote = _anonymous(endpoint) if endpoint != side.endpoint else None
                else:
                    side.remote = endpoint

    def _unnamed(self, key: str) -> _Side:
        """Return the side of an address that no core annotation claims; without any, `ca` makes it a server's."""
        side = self._at(None)
        if key == "ca" and not any(one.kind for one in self.all):
            if "sa" not in self._addresses:
                side.kind = "SERVER"
            elif side.endpoint is None:  # both ends are known: the client wrote it
                side.endpoint = self._addresses["ca"]
                return _Side()
        return next((one for one in self.all if one.kind), side)

    def _at(self, endpoint: object, kind: str | None = None) -> _Side:
        """Return the side of a host, by its service; of a service that called itself, the side of this kind.

        Raises InvalidInput if there are more hosts than a span has.
        """
        for side in self.all:
            same = endpoint is None or side.endpoint is None or _service(side.endpoint) == _service(endpoint)
            if same and (kind is None or side.kind in {None, kind}):
                side.endpoint = side.endpoint or endpoint
                return side
        if len(self.all) == _MOST_HOSTS:
            raise InvalidInput("Zipkin v1", f"a span has annotations of more than {_MOST_HOSTS} hosts")
        self.all.append(_Side(endpoint))
        return self.all[-1]


def _converted(value: Json, sides: list[_Side]) -> Iterator[Json]:
    """Yield the sides; the times and all other fields of the span belong to the side that called, or the only one."""
    kinds = {side.kind for side in sides}
    called = [_CALLERS.get(side.kind or "", "") in kinds for side in sides]
    owner = next((side for side, was in zip(sides, called, strict=True) if side.kind and not was), sides[0])
    own = {name: one for name, one in value.items() if name not in _CONVERTED}
    if isinstance(tags := own.get("tags"), dict):
        for name, tag in tags.items():
            owner.put(name, tag)
    common = {name: value[name] for name in _COMMON if name in value}
    for side, was_called in zip(sides, called, strict=True):
        if side is owner:
            span = own | _timed(side, value.get("timestamp"), value.get("duration"))
            # In v1 a server that only joined a span reports no times of the span.
            joined = side.kind == "SERVER" and "start" in side.core
            joined = joined and not (value.get("timestamp") and (value.get("duration") or "end" not in side.core))
        else:
            span, joined = common | _timed(side, None, None), False
        yield span | {"shared": True} if was_called or joined else span


def _timed(side: _Side, time: object, length: object) -> Json:
    """Return the v2 fields of a side. `time` and `length` are those of the whole span, if they are this side's."""
    if side.kind == "CONSUMER" and "start" not in side.core and "end" in side.core:
        side.core = {"start": side.core["end"]}  # only the end of the receipt is known: there the work begins
    start, end = side.time("start"), side.time("end")
    begun, took = values.time(time, "timestamp", {}), values.duration(length, "duration", {})
    if start and not (begun and took):
        if time and begun != start:
            side.put("field.timestamp", time)
        time = begun = start
    if took is None and begun and end and end > begun:
        if length:
            side.put("field.duration", length)
        length = took = end - begun
    # Core annotations that the times do not say already.
    left = [side.core["start"]] if "start" in side.core and start != begun else []
    left += [side.core["end"]] if "end" in side.core and (not begun or begun + (took or 0) != end) else []
    found = {
        "kind": side.kind,
        "timestamp": time,
        "duration": length,
        "localEndpoint": side.endpoint,
        "remoteEndpoint": side.remote,
        "annotations": [_without_host(one) for one in (*side.annotations, *left)],
        "tags": side.tags,
    }
    return {name: one for name, one in found.items() if one}


def _without_host(one: object) -> object:
    return {name: part for name, part in one.items() if name != "endpoint"} if isinstance(one, dict) else one


def _service(endpoint: object) -> object:
    return endpoint.get("serviceName") if isinstance(endpoint, dict) else endpoint


def _anonymous(endpoint: object) -> object:
    return {**endpoint, "serviceName": None} if isinstance(endpoint, dict) else endpoint


def _list(value: Json, name: str) -> list[object]:
    found = value.get(name) or []
    if not isinstance(found, list):
        raise InvalidInput("Zipkin v1", f"{name} must be a list, not {shown(found)}")
    return found
