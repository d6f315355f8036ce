"""Where the error of a trace began."""

from collections.abc import Iterable
from dataclasses import dataclass

from tracelink.records import Flag, LogRecord, Span, Trace


@dataclass(frozen=True, slots=True)
class ErrorOrigin:
    """The service and operation that failed first, and what it said."""

    service: str | None
    operation: str | None
    message: str | None
    type: str | None = None


def error_origin(trace: Trace) -> ErrorOrigin | None:
    """Return the origin of a part's error, or None where nothing in it is errored.

    An error travels from callee to caller, so the origin is an errored span that called no errored one; of several,
    the one that started first. Its message is that of an errored log line of that span, else its `error` tag. Without
    errored spans it is the first errored log line, its operation that of its span.
    """
    logs = sorted((log for log in trace["logs"] if log["flags"] & Flag.ERROR), key=lambda log: log["timestamp"])
    span = _first_failed([span for span in trace["spans"] if span["flags"] & Flag.ERROR])
    if span is None:
        if not logs:
            return None
        operation = next((one.get("name") for one in trace["spans"] if one["id"] == logs[0].get("spanId")), None)
        return ErrorOrigin(logs[0].get("service"), operation, _said(logs[0]), _type(logs[0]))
    own = next((log for log in logs if log.get("spanId") == span["id"]), None)
    tag = span.get("tags", {}).get("error") or None
    return ErrorOrigin(_service_of(span), span.get("name"), _said(own) if own else tag, _type(own) if own else None)


def _first_failed(errored: list[Span]) -> Span | None:
    callers = {span.get("parentId") for span in errored}
    # A client and its server may share a span id; then the server is the one that was called.
    shared = {span["id"] for span in errored if span.get("kind") == "SERVER"}
    leaves = [
        span
        for span in errored
        if span["id"] not in callers and not (span.get("kind") == "CLIENT" and span["id"] in shared)
    ]
    return _earliest(leaves or errored)


def _earliest(spans: Iterable[Span]) -> Span | None:
    return min(spans, key=lambda span: span.get("timestamp") or 0, default=None)


def _said(log: LogRecord) -> str:
    exception = log.get("exception")
    return (exception.get("message") if exception else None) or log["message"]


def _type(log: LogRecord) -> str | None:
    exception = log.get("exception")
    return exception.get("type") if exception else None


def _service_of(span: Span) -> str | None:
    endpoint = span.get("localEndpoint")
    return endpoint.get("serviceName") if endpoint else None
