"""The occurrence in an errored trace: its root cause, redacted, then cut to a bounded size."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from pipeline.analysis.line_errors import error_of_line, former_error_of_line
from pipeline.analysis.root_cause import RootCauseSpan, root_cause_span
from pipeline.analysis.span_tree import RECEIVING, by_side
from pipeline.model.problems import Line, Occurrence, RootCause
from streams.alerts.fingerprint import LONGEST_MESSAGE, TAG_PREFIX, Fields, fingerprint
from tracelink.model.records import Flag, LogRecord, Span, Trace, duration_of, service_of

Redact = Callable[[str], str]
"""Replaces the secrets in a text."""

_LONGEST_NAME = 200
_LONGEST_TAG = 200
_LONGEST_LINE = 500
_MOST_TAGS = 30
_MOST_SERVICES = 50
_LONG = 2**63
_INT = 2**31 - 1
# Tags that SDKs set on every span, about themselves and the process: dropped first if there are too many.
_COMMON = ("telemetry.", "process.", "otel.", "os.", "host.", "container.")


class Located(NamedTuple):
    """An occurrence, and its fingerprint of the version before if that is another one, else None."""

    occurrence: Occurrence
    former: str | None


def occurrence(trace: Trace, fields: Fields, redact: Redact) -> Occurrence | None:
    """Return the occurrence in a part of a trace, or None if no record is errored."""
    found = located(trace, fields, redact)
    return found.occurrence if found else None


def located(trace: Trace, fields: Fields, redact: Redact) -> Located | None:
    """Return the occurrence in a part of a trace with its former fingerprint, or None if no record is errored.

    The fingerprint is made of the redacted and cut texts, so that it can be recomputed from a problem. Texts are
    redacted before they are cut, because half a secret is not recognised.
    """
    origin = root_cause_span(trace)
    if origin is None:
        return None
    texts = _Texts(redact)
    shown = _origin(origin, fields, texts)
    found: Occurrence = {
        **shown,
        "fingerprint": fingerprint(shown, fields),
        "traceId": trace["traceId"],
        "flags": trace["flags"] & _INT,
        "time": _long(trace["closed"]),
        "duration": duration_of(trace["spans"]),
        "services": _services(trace, texts),
        "root": _root(trace, texts),
        "lines": [_line(line, texts) for line in origin.lines],
    }
    former = _former(trace, origin, fields, texts)
    return Located(found, former if former != found["fingerprint"] else None)


def _former(trace: Trace, origin: RootCauseSpan, fields: Fields, texts: "_Texts") -> str | None:
    """Return the fingerprint of the version before; None if the line of the error is read as before."""
    if origin.line is None or error_of_line(origin.line) == former_error_of_line(origin.line):
        return None
    former = root_cause_span(trace, former_error_of_line)
    return fingerprint(_origin(former, fields, texts), fields) if former else None


class _Texts:
    """Redacts and cuts texts for an alert; an empty text becomes None."""

    def __init__(self, redact: Redact) -> None:
        self._redact = redact

    def name(self, text: str | None) -> str | None:
        return self.text(text, _LONGEST_NAME)

    def text(self, text: str | None, longest: int) -> str | None:
        return _cut(self._redact(text), longest) or None if text else None

    def tag(self, name: str, value: str) -> str:
        """Return a tag's value, redacted alone and after its name: only the name reveals that it is a password."""
        head = f"{name}="
        return _cut(self._redact(head + self._redact(value)).removeprefix(head), _LONGEST_TAG)


def _origin(origin: RootCauseSpan, fields: Fields, texts: _Texts) -> RootCause:
    return {
        "service": texts.name(origin.service),
        "operation": texts.name(origin.operation),
        "exception": texts.name(origin.type),
        "message": texts.text(origin.message, LONGEST_MESSAGE),
        "httpStatus": texts.name(origin.http_status),
        "grpcStatus": texts.name(origin.grpc_status),
        "peer": texts.name(origin.peer),
        "logger": texts.name(origin.logger),
        "tags": _tags(origin.tags, fields, texts),
    }


def _tags(tags: Mapping[str, str], fields: Fields, texts: _Texts) -> dict[str, str]:
    """Return the tags to keep: first those of the fingerprint, last those that SDKs set on every span."""

    def rank(name: str) -> tuple[bool, bool, str]:
        return TAG_PREFIX + name not in fields.add, name.startswith(_COMMON), name

    # Longer names are dropped: if they were cut, two could become the same.
    kept = sorted((name for name in tags if len(name) <= _LONGEST_NAME), key=rank)[:_MOST_TAGS]
    return {texts.name(name) or name: texts.tag(name, tags[name]) for name in kept}


def _services(trace: Trace, texts: _Texts) -> list[str]:
    found = {*map(service_of, trace["spans"]), *(log.get("service") for log in trace["logs"])}
    return sorted({shown for name in found if (shown := texts.name(name))})[:_MOST_SERVICES]


def _root(trace: Trace, texts: _Texts) -> str | None:
    """Return service and operation of the root span; the earliest if there are several."""
    roots = [span for span in trace["spans"] if span["flags"] & Flag.ROOT]
    callers, _ = by_side(roots)

    def rank(span: Span) -> tuple[bool, float, str, str, str]:
        # A server span may share its client's id, and then looks like a second root.
        called = span.get("kind") in RECEIVING and span["id"] in callers
        start = span.get("timestamp") or math.inf
        return called, start, span["id"], service_of(span) or "", span.get("name") or ""

    root = min(roots, key=rank, default=None)
    return texts.name(_words(service_of(root), root.get("name"))) if root else None


def _words(*words: str | None) -> str:
    return " ".join(word for word in words if word)


def _line(log: LogRecord, texts: _Texts) -> Line:
    return {
        "timestamp": _long(log["timestamp"]),
        "service": texts.name(log.get("service")),
        "level": texts.name(log.get("level")),
        "message": texts.text(_said(log), _LONGEST_LINE) or "",
    }


def _said(log: LogRecord) -> str:
    """Return a line's message, followed by its logged exception."""
    exception = log.get("exception") or {}
    thrown = ": ".join(text for text in (exception.get("type"), exception.get("message")) if text)
    return log["message"] if thrown in log["message"] else f"{log['message']} ({thrown})"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _long(value: int) -> int:
    """Return a number, limited to the range of Avro's `long`."""
    return min(max(value, -_LONG), _LONG - 1)
