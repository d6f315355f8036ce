"""The records of a probe: a small trace that fails on purpose, always in the same way, so that all are one problem."""

from dataclasses import dataclass

from tracelink.model.records import ErrorRule, Flag, LoggedException, LogRecord, Span, shown_trace_id
from tracelink.publisher import Publisher

SERVICE = "tracelink-canary"
"""The service name of all its records: rules and routes match the canary's problem by it."""

_RULE = ErrorRule()
_ROOT, _CHILD = "canary", "fail on purpose"
_EXCEPTION = "CanaryError"
_SAYS = "this error is made on purpose: nothing is wrong where it arrives"
_LOGGER = "tracelink.canary"
_TOOK = 5_000  # µs
_STACK = f"""\
Traceback (most recent call last):
  File "canary.py", line 1, in sing
    raise {_EXCEPTION}("{_SAYS}")
{_EXCEPTION}: {_SAYS}
"""


@dataclass(frozen=True, slots=True)
class Canary:
    """The records of one probe."""

    trace_id: bytes
    spans: tuple[Span, ...]
    logs: tuple[LogRecord, ...]

    @property
    def shown(self) -> str:
        """Its trace id, as Zipkin and Elasticsearch show it."""
        return shown_trace_id(self.trace_id)

    @property
    def key(self) -> bytes:
        """Its trace id as message key."""
        return self.trace_id.hex().encode()

    def publish(self, publisher: Publisher) -> None:
        """Publish its records, as a service does."""
        for span in self.spans:
            publisher.publish_span(span)
        for record in self.logs:
            publisher.publish_log(record)


def canary(trace_id: bytes, now: int) -> Canary:
    """Make a probe that ends `now` (microseconds since the epoch): a request with a failing call inside."""
    root, child = trace_id[:8].hex(), trace_id[8:].hex()
    start = now - 3 * _TOOK
    return Canary(
        trace_id,
        (
            _span(
                trace_id, root, None, _ROOT, start, 3 * _TOOK, {"http.request.method": "GET", "http.status_code": "500"}
            ),
            _span(trace_id, child, root, _CHILD, start + _TOOK, _TOOK, {"error": _SAYS}),
        ),
        (
            _line(trace_id, root, 1, start, "INFO", "a canary is sent"),
            _line(trace_id, child, 2, start + _TOOK, "WARN", "it is about to fail, on purpose"),
            _line(
                trace_id,
                child,
                3,
                start + 2 * _TOOK,
                "ERROR",
                "it has failed, on purpose",
                {"type": _EXCEPTION, "message": _SAYS, "stackTrace": _STACK},
            ),
        ),
    )


def _span(  # noqa: PLR0917 - a span's fields
    trace_id: bytes, own: str, parent: str | None, name: str, start: int, took: int, tags: dict[str, str]
) -> Span:
    return {
        "flags": Flag.ERROR * _RULE.span(tags) | Flag.ROOT * (parent is None),
        "traceId": trace_id,
        "id": own,
        "parentId": parent,
        "kind": "SERVER" if parent is None else None,
        "name": name,
        "timestamp": start,
        "duration": took,
        "localEndpoint": {"serviceName": SERVICE},
        "remoteEndpoint": None,
        "annotations": [],
        "tags": tags,
    }


def _line(  # noqa: PLR0917 - a line's fields
    trace_id: bytes,
    span_id: str,
    number: int,
    at: int,
    level: str,
    message: str,
    exception: LoggedException | None = None,
) -> LogRecord:
    return {
        "flags": Flag.ERROR * _RULE.log(level),
        "traceId": trace_id,
        "id": f"canary-{trace_id.hex()}-{number}",
        "spanId": span_id,
        "timestamp": at,
        "service": SERVICE,
        "level": level,
        "logger": _LOGGER,
        "message": message,
        "exception": exception,
        "fields": {},
    }
