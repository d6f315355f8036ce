"""The error that a log line reports: type, message and logger, by the line's fields and by its text.

Fingerprints of problems are made of these, so a change here is a new version of fingerprints. Each version keeps the
reading of the one before it, by which problems that are known already are recognised.
"""

import re
from typing import NamedTuple

from pipeline.formats.stack_traces import exception_of_text
from pipeline.formats.text_lines import parse_text_line
from tracelink.model.records import LogRecord


class LineError(NamedTuple):
    """Type and message of the error, and the logger; None if unknown."""

    type: str | None
    message: str | None
    logger: str | None


def error_of_line(log: LogRecord) -> LineError:
    """Return the error of a line: its logged exception, else an exception in its text, else its message.

    The message is the line's without the header of a log layout (time, level, logger, ids), and without a stack trace.
    The logger comes from that header if the line has none.
    """
    said, logger = log["message"], log.get("logger") or None
    layout = parse_text_line(said)
    if behind := layout.get("message") or layout.get("msg"):
        said, logger = behind, logger or layout.get("logger")
    exception = log.get("exception")
    found = exception_of_text((exception.get("stackTrace") or "") if exception else said)
    kind, message = (found.get("type"), found.get("message")) if found else (None, None)
    if exception:
        given = exception.get("type")
        return LineError(
            given or kind or None, exception.get("message") or (None if given else message) or said or None, logger
        )
    if kind is None:
        return LineError(None, _without_trace(said, found["stackTrace"] if found else None) or None, logger)
    return LineError(kind, message, logger)


def _without_trace(said: str, trace: str | None) -> str:
    return (trace and said.removesuffix(trace).strip()) or said


# The first line of a Java stack trace: the class with its package, and the message.
_THROWN = re.compile(
    r"^(?:Exception in thread \S+ )?"
    r"(?P<type>(?:[a-z_][a-z0-9_]*\.)+[A-Z][\w$]*(?:Exception|Error|Failure|Throwable))"
    r"(?:: (?P<message>[^\r\n]*))?\r?$",
    re.ASCII | re.MULTILINE,
)
_THROWN_WITHIN = 4_000
"""That line is searched in this many characters of a text."""


def former_error_of_line(log: LogRecord) -> LineError:
    """Return the error of a line as version 1 of fingerprints reads it: with any header, and only Java's exceptions."""
    logger, exception = log.get("logger") or None, log.get("exception")
    if not exception:
        thrown = _THROWN.search(log["message"], 0, _THROWN_WITHIN)
        if thrown:
            return LineError(thrown["type"], thrown["message"], logger)
        return LineError(None, log["message"] or None, logger)
    kind, message = exception.get("type"), exception.get("message")
    thrown = None if kind else _THROWN.search(exception.get("stackTrace") or "", 0, _THROWN_WITHIN)
    if thrown:
        kind, message = thrown["type"], message or thrown["message"]
    return LineError(kind or None, message or log["message"] or None, logger)
