"""Spans and log records of which a test names only what it cares about."""

from itertools import count
from typing import Any, cast

from tracelink.model.codec import LOG_RECORD, SPAN
from tracelink.model.records import Flag, LogRecord, Span

_serials = count(1)


def trace_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def key(number: int) -> bytes:
    return trace_id(number).hex().encode()


def span(trace: int, *, errored: bool = False, root: bool = False, **fields: object) -> Span:
    serial = next(_serials)
    record = {
        "flags": Flag.ERROR * errored | Flag.ROOT * root,
        "traceId": trace_id(trace),
        "id": f"{serial:016x}",
        "parentId": None if root else f"{serial + 1:016x}",
        "kind": "SERVER",
        "name": f"operation {serial}",
        "timestamp": 1_700_000_000_000_000 + serial,
        "duration": 1000 + serial,
        "localEndpoint": {"serviceName": "shop", "ipv4": None, "ipv6": None, "port": None},
        "remoteEndpoint": None,
        "annotations": [],
        "tags": {"error": "failed"} if errored else {},
        "debug": None,
        "shared": None,
    }
    return cast("Span", record | fields)


def log(trace: int, *, errored: bool = False, **fields: object) -> LogRecord:
    serial = next(_serials)
    record = {
        "flags": Flag.ERROR * errored,
        "traceId": trace_id(trace),
        "id": f"test-{serial}",
        "spanId": f"{serial:016x}",
        "timestamp": 1_700_000_000_000_000 + serial,
        "service": "shop",
        "level": "ERROR" if errored else "INFO",
        "logger": "test",
        "message": f"line {serial}",
        "exception": None,
        "fields": {},
    }
    return cast("LogRecord", record | fields)


def span_message(trace: int, **fields: Any) -> bytes:  # noqa: ANN401 - what `span` takes
    return SPAN.encode(span(trace, **fields))


def log_message(trace: int, **fields: Any) -> bytes:  # noqa: ANN401 - what `log` takes
    return LOG_RECORD.encode(log(trace, **fields))
