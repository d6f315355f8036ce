"""What a span, a log record and a trace are, and which of them is errored."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NotRequired, TypedDict

TRACE_ID_CHARS = 32
NO_TRACE = bytes(16)
_LONGEST = 2**63 - 1


class Flag(IntEnum):
    """The bits of a record's `flags`; a trace has those of all its records together."""

    ERROR = 1
    ROOT = 2
    SHORT_ID = 4
    """The trace id came with 64 bits and is printed so."""


class Endpoint(TypedDict):
    """A service on the network."""

    serviceName: NotRequired[str | None]
    ipv4: NotRequired[str | None]
    ipv6: NotRequired[str | None]
    port: NotRequired[int | None]


class Annotation(TypedDict):
    """An event in a span: microseconds since the epoch, and what happened."""

    timestamp: int
    value: str


class Span(TypedDict):
    """A span under Zipkin v2's names and units: microseconds, ids in lower-case hex, the trace id as 16 bytes."""

    flags: int
    traceId: bytes
    id: str
    parentId: NotRequired[str | None]
    kind: NotRequired[str | None]
    name: NotRequired[str | None]
    timestamp: NotRequired[int | None]
    duration: NotRequired[int | None]
    localEndpoint: NotRequired[Endpoint | None]
    remoteEndpoint: NotRequired[Endpoint | None]
    annotations: NotRequired[list[Annotation]]
    tags: NotRequired[dict[str, str]]
    debug: NotRequired[bool | None]
    shared: NotRequired[bool | None]


class LoggedException(TypedDict):
    """The exception logged with a line."""

    type: NotRequired[str | None]
    message: NotRequired[str | None]
    stackTrace: NotRequired[str | None]


class LogRecord(TypedDict):
    """One log line; `id` alone is the identity of its document, `timestamp` is in microseconds since the epoch."""

    flags: int
    traceId: bytes
    id: str
    spanId: NotRequired[str | None]
    timestamp: int
    service: NotRequired[str | None]
    level: NotRequired[str | None]
    logger: NotRequired[str | None]
    message: str
    exception: NotRequired[LoggedException | None]
    fields: NotRequired[dict[str, str]]


class Trace(TypedDict):
    """One part of a trace; `opened` and `closed` are stream times in milliseconds since the epoch."""

    flags: int
    traceId: bytes
    name: str
    opened: int
    closed: int
    reason: str
    spans: list[Span]
    logs: list[LogRecord]


def parse_trace_id(text: str) -> tuple[bytes, int]:
    """Read a trace id of up to 128 bits in hex; returns its 16 bytes and `Flag.SHORT_ID` where it came with 64 bits.

    Raises ValueError where it is empty, too long, no hex, or zero: such a record belongs to no trace.
    """
    if not 1 <= len(text) <= TRACE_ID_CHARS:
        raise ValueError(f"a trace id has 1 to {TRACE_ID_CHARS} hex characters, not {text!r}")
    if not text.isalnum():  # bytes.fromhex would pass over white space
        raise ValueError(f"a trace id is hex, not {text!r}")
    value = bytes.fromhex(text.zfill(TRACE_ID_CHARS))
    if value == NO_TRACE:
        raise ValueError("a trace id is not zero")
    return value, Flag.SHORT_ID if len(text) <= TRACE_ID_CHARS // 2 else 0


def print_trace_id(trace_id: bytes, flags: int) -> str:
    """Print a trace id as it came: 16 or 32 lower-case hex characters."""
    return trace_id[8:].hex() if flags & Flag.SHORT_ID else trace_id.hex()


def shown_trace_id(trace_id: bytes) -> str:
    """Print a trace id as Zipkin shows it: 16 characters where the upper 64 bits are zero, else 32.

    Told by the id alone: all that is said of a trace agrees, even where services print its id differently.
    """
    return print_trace_id(trace_id, Flag.SHORT_ID if trace_id.startswith(bytes(8)) else 0)


def service_of(span: Span) -> str | None:
    """Return the name of the service that recorded a span."""
    endpoint = span.get("localEndpoint")
    return endpoint.get("serviceName") if endpoint else None


def duration_of(spans: Iterable[Span]) -> int:
    """Return the microseconds from the first span's start to the last one's end, 0 where none has a time."""
    timed = [(start, span.get("duration") or 0) for span in spans if (start := span.get("timestamp"))]
    if not timed:
        return 0
    took = max([start + duration for start, duration in timed]) - min([start for start, _ in timed])
    return min(max(0, took), _LONGEST)


_ERROR_LEVELS = frozenset(
    {"ERROR", "ERR", "SEVERE", "CRITICAL", "CRIT", "FATAL", "ALERT", "PANIC", "EMERGENCY", "EMERG"}
)
# The current name, and what older instrumentations write.
_HTTP_STATUS = ("http.response.status_code", "http.status_code")
_GRPC_STATUS = ("rpc.response.status_code", "rpc.grpc.status_code", "grpc.status_code")
_GRPC_OK = frozenset({"0", "OK"})


def http_status(tags: Mapping[str, str]) -> str | None:
    """Return the HTTP status that a span's tags tell, as it stands there."""
    return next((tags[name] for name in _HTTP_STATUS if tags.get(name)), None)


def grpc_status(tags: Mapping[str, str]) -> str | None:
    """Return the gRPC status that a span's tags tell, as it stands there."""
    return next((tags[name] for name in _GRPC_STATUS if tags.get(name)), None)


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """Decides where a record enters, once, whether it is errored."""

    http_status: int = 500
    """A span whose HTTP status is this or above is errored."""
    grpc_ok: frozenset[str] = field(default=_GRPC_OK)
    """A span whose gRPC status is none of these is errored."""

    def span(self, tags: dict[str, str]) -> bool:
        """Tell whether a span with these tags is errored: Zipkin's `error` tag, or its HTTP or gRPC status."""
        if not tags:
            return False
        if "error" in tags:
            return True
        for name in _HTTP_STATUS:
            status = tags.get(name)
            if status is not None and status.isdecimal() and int(status) >= self.http_status:
                return True
        for name in _GRPC_STATUS:
            status = tags.get(name)
            if status is not None and status not in self.grpc_ok:
                return True
        return False

    def log(self, level: str | None) -> bool:
        """Tell whether a line of this level is errored: ERROR or above, under any of its common spellings."""
        return level is not None and level.upper() in _ERROR_LEVELS
