"""The types of spans, log records and traces, and the rule by which records are errored."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NotRequired, TypedDict

from tracelink.model.levels import ERROR_LEVELS, known_level

TRACE_ID_CHARS = 32
NO_TRACE = bytes(16)
_LONGEST = 2**63 - 1


class Flag(IntEnum):
    """The bits of a record's `flags`; a trace's flags are the union of its records' flags."""

    ERROR = 1
    ROOT = 2
    SHORT_ID = 4
    """The trace id arrived with 64 bits and is printed with 16 characters."""


class Endpoint(TypedDict):
    """A service on the network."""

    serviceName: NotRequired[str | None]
    ipv4: NotRequired[str | None]
    ipv6: NotRequired[str | None]
    port: NotRequired[int | None]


class Annotation(TypedDict):
    """An event in a span; `timestamp` is in microseconds since the epoch."""

    timestamp: int
    value: str


class Span(TypedDict):
    """A span with Zipkin v2's names and units: microseconds, ids in lower-case hex; but the trace id is 16 bytes."""

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
    """An exception that was logged."""

    type: NotRequired[str | None]
    message: NotRequired[str | None]
    stackTrace: NotRequired[str | None]


class LogRecord(TypedDict):
    """One log line; `id` is the id of its document, `timestamp` is in microseconds since the epoch."""

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
    """Parse a trace id of up to 32 hex characters; return its 16 bytes, and `Flag.SHORT_ID` if it has up to 16.

    Raises ValueError if it is empty, too long, not hex, or zero: such a record belongs to no trace.
    """
    if not 1 <= len(text) <= TRACE_ID_CHARS:
        raise ValueError(f"a trace id has 1 to {TRACE_ID_CHARS} hex characters, not {text!r:.60}")
    try:
        # Python would skip white space.
        value = bytes.fromhex(text.zfill(TRACE_ID_CHARS)) if text.isalnum() else None
    except ValueError:
        value = None
    if value is None:
        raise ValueError(f"a trace id is hex, not {text!r:.60}")
    if value == NO_TRACE:
        raise ValueError("a trace id is not zero")
    return value, Flag.SHORT_ID if len(text) <= TRACE_ID_CHARS // 2 else 0


def print_trace_id(trace_id: bytes, flags: int) -> str:
    """Return a trace id as it arrived: 16 or 32 lower-case hex characters."""
    return trace_id[8:].hex() if flags & Flag.SHORT_ID else trace_id.hex()


def shown_trace_id(trace_id: bytes) -> str:
    """Return a trace id as Zipkin shows it: 16 characters if the upper 64 bits are zero, else 32.

    It depends on the id alone: all outputs of a trace agree, even if services print its id differently.
    """
    return print_trace_id(trace_id, Flag.SHORT_ID if trace_id.startswith(bytes(8)) else 0)


def service_of(span: Span) -> str | None:
    """Return the name of the service that recorded a span."""
    endpoint = span.get("localEndpoint")
    return endpoint.get("serviceName") if endpoint else None


def duration_of(spans: Iterable[Span]) -> int:
    """Return the microseconds from the first span's start to the last one's end, 0 if no span has a time."""
    timed = [(start, span.get("duration") or 0) for span in spans if (start := span.get("timestamp"))]
    if not timed:
        return 0
    took = max([start + duration for start, duration in timed]) - min([start for start, _ in timed])
    return min(max(0, took), _LONGEST)


# The current name, and those of older instrumentations.
_HTTP_STATUS = ("http.response.status_code", "http.status_code")
_GRPC_STATUS = ("rpc.response.status_code", "rpc.grpc.status_code", "grpc.status_code")
_GRPC_OK = frozenset({"0", "OK"})
_OTEL_STATUS = "otel.status_code"
_OTEL_PREFIX = "STATUS_CODE_"  # of the names in OTLP, which some exporters keep
# Texts of the `error` tag by which instrumentations say that there was no error.
_NO_ERROR = frozenset({"FALSE", "NO", "NONE", "NULL", "0"})


def http_status(tags: Mapping[str, str]) -> str | None:
    """Return the HTTP status in a span's tags, unparsed."""
    return next((tags[name] for name in _HTTP_STATUS if tags.get(name)), None)


def grpc_status(tags: Mapping[str, str]) -> str | None:
    """Return the gRPC status in a span's tags, unparsed."""
    return next((tags[name] for name in _GRPC_STATUS if tags.get(name)), None)


def error_tag(tags: Mapping[str, str]) -> str | None:
    """Return the text of a span's `error` tag, which may be empty; None if it is absent or says that there is no error.

    For Zipkin the presence of this tag is an error, but instrumentations also write `false`, `no`, `null` or `0`.
    """
    error = tags.get("error")
    return None if error is None or error.strip().upper() in _NO_ERROR else error


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """Decides if a record is errored; applied once, where the record enters."""

    http_status: int = 500
    """A span with this HTTP status or above is errored."""
    grpc_ok: frozenset[str] = field(default=_GRPC_OK)
    """A span with any other gRPC status is errored; in upper case."""

    def span(self, tags: Mapping[str, str]) -> bool:
        """Return True if a span with these tags is errored.

        Zipkin's `error` tag makes it so (see `error_tag`); else its OpenTelemetry status decides, if it is ERROR or OK;
        else its HTTP status or its gRPC status may make it so.
        """
        if not tags:
            return False
        if "error" in tags and error_tag(tags) is not None:
            return True
        if code := tags.get(_OTEL_STATUS):
            code = code.upper().removeprefix(_OTEL_PREFIX)
            if code in {"ERROR", "OK"}:
                return code == "ERROR"
        for name in _HTTP_STATUS:
            status = tags.get(name)
            if status is not None and status.isdecimal() and int(status) >= self.http_status:
                return True
        for name in _GRPC_STATUS:
            status = tags.get(name)
            if status and status.upper() not in self.grpc_ok:
                return True
        return False

    def log(self, level: str | None) -> bool:
        """Return True if a line of this level is errored: ERROR or above, in any common spelling."""
        return level is not None and (level in ERROR_LEVELS or known_level(level) in ERROR_LEVELS)
