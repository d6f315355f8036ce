"""The root cause span of an errored trace: where its error began."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import orjson

from pipeline.analysis.line_errors import LineError, error_of_line
from pipeline.analysis.span_tree import SENDING, SpanNode, SpanTree, within
from tracelink.model.records import Flag, LogRecord, Span, Trace, error_tag, grpc_status, http_status

MOST_LINES = 10
_EXCEPTION_EVENT = '"exception": {'
_SAYS_NOTHING = frozenset({"", "true", "1"})
"""Values of the `error` tag without a message."""
Reading = Callable[[LogRecord], LineError]
"""Reads the error of a log line."""


@dataclass(frozen=True, slots=True)
class RootCauseSpan:
    """The service and operation that failed first, and its error."""

    service: str | None
    operation: str | None
    message: str | None
    type: str | None = None
    http_status: str | None = None
    grpc_status: str | None = None
    peer: str | None = None
    """The called service, if the error began in a call whose other side is not in the trace."""
    logger: str | None = None
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    lines: tuple[LogRecord, ...] = ()
    """At most ten, oldest first: errored lines of the span, and the last lines of the span and its service before."""
    line: LogRecord | None = field(default=None, compare=False, repr=False)
    """The errored line that was read for the error, if any."""


def root_cause_span(trace: Trace, read: Reading = error_of_line) -> RootCauseSpan | None:
    """Return the root cause span of a part, or None if nothing in it is errored.

    An error travels from callee to caller, so the root cause is the deepest errored span that called no errored span;
    of several equally deep, the one that started first. Its message comes from an errored log line of that span, with
    an exception if possible; else from its exception event, its `exception.*` tags, its `error` tag, its OpenTelemetry
    status. Without errored spans, the root cause is the span of the first errored log line. `read`
    does not change the choice of span and line.
    """
    tree = SpanTree(trace["spans"])
    logs = _in_order(trace["logs"])
    if node := first_failed(tree):
        return _of_node(node, node.service, _lines(tree, logs, node, node.service), read)
    first = next((log for log in logs if log["flags"] & Flag.ERROR), None)
    if first is None:
        return None
    service = first.get("service") or None
    if node := tree.find(first.get("spanId"), service):
        service = service or node.service
        return _of_node(node, service, _lines(tree, logs, node, service), read)
    lines = _lines_without_span(logs, first)
    line = lines.telling() or first
    kind, message, logger = read(line)
    return RootCauseSpan(service, None, message, kind, logger=logger, lines=lines.around(line), line=line)


def first_failed(tree: SpanTree) -> SpanNode | None:
    """Return the span where the error of a trace began, as `root_cause_span` chooses it; None if none is errored."""
    # Nodes are sorted by id, which decides between equal depths and times. The deepest errored span has no errored
    # callee, which would be deeper.
    errored = [node for node in tree.nodes if node.errored]
    return min(errored, key=lambda node: (-node.depth, _started(node.span)), default=None)


def _started(span: Span) -> float:
    start = span.get("timestamp") or 0
    return start if start > 0 else math.inf


def _of_node(node: SpanNode, service: str | None, lines: "_Lines", read: Reading) -> RootCauseSpan:
    span, tags = node.span, node.span.get("tags") or {}
    line = lines.telling()
    kind, message, logger = read(line) if line else LineError(None, None, None)
    for source in (_said_by_event, _said_by_tags):
        if not (kind and message):
            other_kind, other_message = source(span)
            kind, message = kind or other_kind, message or other_message
    if not (kind or message) and (line := lines.telling_elsewhere()):
        kind, message, logger = read(line)
    return RootCauseSpan(
        service=service,
        operation=span.get("name") or None,
        message=message,
        type=kind,
        http_status=http_status(tags),
        grpc_status=grpc_status(tags),
        peer=_peer(node),
        logger=logger,
        tags=MappingProxyType(dict(tags)),
        lines=lines.around(line, _ended(span)),
        line=line,
    )


def _peer(node: SpanNode) -> str | None:
    remote = node.span.get("remoteEndpoint")
    if not remote or node.span.get("kind") not in SENDING:
        return None
    answered = any(child.receives or child.service != node.service for child in node.children)
    return None if answered else remote.get("serviceName") or None


def _ended(span: Span) -> int | None:
    start, duration = span.get("timestamp"), span.get("duration")
    return start + duration if start and duration else None


class _Lines:
    """The log lines of the root cause span (`own`), and all lines of its service, both by time."""

    def __init__(self, own: list[LogRecord], of_service: list[LogRecord]) -> None:
        self._own = own
        self._of_service = of_service

    def telling(self) -> LogRecord | None:
        """Return the most telling errored line: the first with an exception, else the first."""
        return _telling(self._own)

    def telling_elsewhere(self) -> LogRecord | None:
        """Return the most telling errored line of the service, in any span."""
        return _telling(self._of_service)

    def around(self, line: LogRecord | None, end: int | None = None) -> tuple[LogRecord, ...]:
        """Return the lines to show: `line`, errored ones, and the last ones up to `line` (or to `end` without it)."""
        end = line["timestamp"] if line else end
        wanted = [line] if line else []
        wanted += [log for log in self._own if log["flags"] & Flag.ERROR]
        for logs in (self._own, self._of_service):
            calm = [log for log in reversed(logs) if not log["flags"] & Flag.ERROR]
            wanted += [log for log in calm if end is None or log["timestamp"] <= end]
        shown = list({log["id"]: log for log in wanted}.values())[:MOST_LINES]
        return tuple(sorted(shown, key=_time))


def _lines(tree: SpanTree, logs: list[LogRecord], node: SpanNode, service: str | None) -> _Lines:
    """Return the lines of a span; if none of them is errored, also the lines of its service without a known span.

    Such lines have no span id, or the id of a span that did not arrive.
    """
    of_service = [log for log in logs if log.get("service") == service]
    placed = [(log, tree.find(log.get("spanId"), log.get("service"))) for log in logs]
    own = [log for log, place in placed if within(place, node)]
    if not _telling(own):
        own = [log for log, p in placed if within(p, node) or (p is None and log.get("service") == service)]
    return _Lines(own, of_service)


def _lines_without_span(logs: list[LogRecord], first: LogRecord) -> _Lines:
    of_service = [log for log in logs if log.get("service") == first.get("service")]
    return _Lines([log for log in of_service if log.get("spanId") == first.get("spanId")], of_service)


def _in_order(logs: Iterable[LogRecord]) -> list[LogRecord]:
    """Return the lines by time, without repeats (same id); of repeats an errored one is kept."""
    errored_last = sorted(logs, key=lambda log: log["flags"] & Flag.ERROR)
    return sorted({log["id"]: log for log in errored_last}.values(), key=_time)


def _time(log: LogRecord) -> tuple[int, str]:
    return log["timestamp"], log["id"]


def _telling(logs: list[LogRecord]) -> LogRecord | None:
    errored = [log for log in logs if log["flags"] & Flag.ERROR]
    return min(errored, key=lambda log: not log.get("exception"), default=None)


def _said_by_event(span: Span) -> tuple[str | None, str | None]:
    """Return type and message of a span's last exception event: the exception that was not handled."""
    events = [one for one in span.get("annotations") or () if one["value"].startswith(_EXCEPTION_EVENT)]
    for event in sorted(events, key=lambda one: one["timestamp"], reverse=True):
        try:
            said = orjson.loads(event["value"][len(_EXCEPTION_EVENT) - 1 :])
        except orjson.JSONDecodeError:
            continue
        kind, message = said.get("exception.type"), said.get("exception.message")
        return str(kind) if kind else None, str(message) if message else None
    return None, None


def _said_by_tags(span: Span) -> tuple[str | None, str | None]:
    tags = span.get("tags") or {}
    error = error_tag(tags) or ""
    message = (
        tags.get("exception.message")
        or (None if error.lower() in _SAYS_NOTHING else error)
        or tags.get("otel.status_description")
        or None
    )
    return tags.get("exception.type") or None, message
