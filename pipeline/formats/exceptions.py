"""Logged exceptions from JSON values of any common shape.

An exception is an object under the names of logback, log4j2, JBoss, Json.NET, Serilog, pino, bunyan, Monolog,
structlog, Sentry, loguru, semantic_logger, AWS Lambda or Datadog; a list of such objects; a list of lines; or a text.
Flags and empty values are no exception. A new name takes one word in a table below.
"""

import json

from pipeline.formats.stack_frames import are_frames, rendered_trace
from pipeline.formats.stack_traces import exception_of_text, named_exception
from tracelink.model.records import LoggedException

__all__ = ["exception_of", "exception_of_text", "header", "read_exception"]

# Names without case, `_`, `-` and `@`; of several the first with a usable value.
_TYPES = (
    "type", "exceptiontype", "exctype", "errortype", "class", "classname", "exceptionclass", "errorclass",
    "throwableclass", "kind", "typename", "name", "exceptionname", "errorname",
)  # fmt: skip
_MESSAGES = (
    "message", "msg", "excvalue", "value", "excmessage", "exceptionmessage", "errormessage", "description", "reason",
)  # fmt: skip
_STACKS = (
    "stacktrace", "stack", "extendedstacktrace", "stacktracestring", "exceptionstacktrace", "errorstack", "traceback",
    "backtrace", "trace", "frames", "steparray",
)  # fmt: skip
_CAUSES = (
    "cause", "causes", "causedby", "innerexception", "innerexceptions", "inner", "previous", "errorcauses", "errors",
)  # fmt: skip
# An object with nothing else holds an exception under one of these.
_WRAPPERS = ("exception", "error", "err", "values", "thrown", "throwable", "exceptions")
_PLACES = {
    name: (part, rank)
    for part, names in enumerate((_TYPES, _MESSAGES, _STACKS, _CAUSES, _WRAPPERS))
    for rank, name in enumerate(names)
}
_TYPE, _MESSAGE, _STACK, _CAUSE, _WRAPPER = range(5)
_SPELLING = str.maketrans("", "", "_-@")
# Texts of flags and of absent exceptions; `NoneType: None` is Python's for none.
_NOTHING = frozenset(
    {
        "", "false", "true", "null", "none", "nil", "<nil>", "undefined", "0", "1", "-", "{}", "[]", '""',
        "nonetype: none",
    }
)  # fmt: skip
_MAX_DEPTH = 16


def exception_of(value: object) -> LoggedException | None:
    """Return the exception in a decoded JSON value, or None; see `read_exception`."""
    return read_exception(value)[0]


def read_exception(value: object) -> tuple[LoggedException | None, dict[str, object]]:
    """Return the exception in a decoded JSON value, and the fields of an object that it does not contain.

    `stackTrace` has frames one a line, and ends with causes as `Caused by: …`. Of a list, the exception that was raised
    last counts. A text without a stack trace is a message. Returns None for a flag, an empty value, or an object
    without type, message and stack trace; a caller may keep such a value as a field.
    """
    return _read(value, _MAX_DEPTH)


_Read = tuple[LoggedException | None, dict[str, object]]


def _read(value: object, depth: int) -> _Read:
    if isinstance(value, str):
        return _of_string(value), {}
    if isinstance(value, dict):
        return _of_object(value, depth)
    if isinstance(value, list):
        return _of_list(value, depth)
    if value is None or value in (0, 1):  # also false and true
        return None, {}
    return {"type": None, "message": _text(value), "stackTrace": None}, {}


def _of_string(text: str) -> LoggedException | None:
    if text.strip().lower() in _NOTHING:
        return None
    found = named_exception(text) if "\n" not in text else None
    found = found or exception_of_text(text)
    if found is None:
        return {"type": None, "message": text, "stackTrace": None}
    return _whole(found, text)


def _whole(found: LoggedException, text: str) -> LoggedException:
    """Return an exception that was found in a text, so that none of the text is lost."""
    if trace := found.get("stackTrace"):
        return found if trace == text else {**found, "stackTrace": text}
    if text.strip() == header(found.get("type"), found.get("message")):
        return found
    return {**found, "stackTrace": text} if "\n" in text else {**found, "message": text}


def _of_object(value: dict[str, object], depth: int) -> _Read:
    if not depth:
        return {"type": None, "message": _text(value), "stackTrace": None}, {}
    named = _Named(value)
    kind, message, stack = named.take(_TYPE), named.take(_MESSAGE), named.take(_STACK)
    if message is None and stack is None:
        for name in named.of(_WRAPPER):
            found, rest = _read(_in_order(name, value[name]), depth - 1)
            if found is not None:
                return found, {other: one for other, one in value.items() if other != name} | rest
        if kind is None:
            return None, {}
    found = _put_together(kind, message, stack)
    rests: dict[str, object] = {}
    for name in named.of(_CAUSE):
        cause, rest = _read(value[name], depth - 1)
        if cause is not None:
            named.taken.add(name)
            found = _caused(found, cause)
            rests |= {f"{name}.{other}": one for other, one in rest.items()}
    return found, named.rest() | rests


class _Named:
    """The fields of an object by the part of an exception that their names stand for."""

    def __init__(self, value: dict[str, object]) -> None:
        self._value = value
        self._named: dict[int, list[tuple[int, str]]] = {}
        self.taken: set[str] = set()
        for name in value:
            if place := _PLACES.get(name.translate(_SPELLING).lower()):
                self._named.setdefault(place[0], []).append((place[1], name))

    def of(self, part: int) -> list[str]:
        return [name for _, name in sorted(self._named.get(part, ()))]

    def take(self, part: int) -> object | None:
        """Return the first usable value of a part, or None."""
        for name in self.of(part):
            if _usable(part, found := self._value[name]):
                self.taken.add(name)
                return found
        return None

    def rest(self) -> dict[str, object]:
        return {name: one for name, one in self._value.items() if name not in self.taken and one is not None}


def _usable(part: int, value: object) -> bool:
    if isinstance(value, str):
        return value.strip().lower() not in _NOTHING
    if part == _TYPE or value is None or isinstance(value, bool):
        return False
    if part == _MESSAGE:
        return value not in ({}, [])
    frames = value.get("frames") if isinstance(value, dict) else value
    return isinstance(frames, list) and (_are_lines(frames) or are_frames(frames))


def _are_lines(values: list[object]) -> bool:
    return all(isinstance(one, str) for one in values) and any(str(one).strip() for one in values)


def _put_together(kind: object, message: object, stack: object) -> LoggedException:
    """Return an exception of these usable values; a missing type or message comes from the stack trace's text."""
    shown = None if kind is None else _text(kind)
    said = None if message is None else _text(message)
    frames = stack.get("frames") if isinstance(stack, dict) else stack
    if isinstance(frames, list) and are_frames(frames):
        return {"type": shown, "message": said, "stackTrace": rendered_trace(header(shown, said), frames)}
    trace = _joined(frames) if isinstance(frames, list) else frames
    found = exception_of_text(trace) or named_exception(trace) if isinstance(trace, str) else None
    if found is None and shown is None and said is not None and (named := named_exception(said)):
        named = _whole(named, said)
        shown, said = named.get("type"), named.get("message") or said
    if found is not None:
        shown, said = shown or found.get("type"), said or found.get("message")
    return {"type": shown, "message": said, "stackTrace": None if trace is None else str(trace)}


def _caused(found: LoggedException, cause: LoggedException) -> LoggedException:
    """Return an exception with its cause behind its stack trace, if that does not have it yet."""
    first = header(cause.get("type"), cause.get("message"))
    trace = found.get("stackTrace") or header(found.get("type"), found.get("message"))
    if f"Caused by: {first}" in trace:
        return found
    of_cause = cause.get("stackTrace") or ""
    shown = of_cause if first in of_cause else f"{first}\n{of_cause}".strip("\n")
    return {**found, "stackTrace": f"{trace}\nCaused by: {shown}".strip("\n")}


def header(kind: str | None, message: str | None) -> str:
    """Return the first line of an exception: its type and message, as far as they are known."""
    return ": ".join(part for part in (kind, message) if part)


def _in_order(name: str, value: object) -> object:
    """Return exceptions with the one that was raised last first; Sentry's `values` begin with the first cause."""
    return value[::-1] if name == "values" and isinstance(value, list) else value


def _of_list(values: list[object], depth: int) -> _Read:
    if not depth:
        return {"type": None, "message": _text(values), "stackTrace": None}, {}
    if _are_lines(values):
        return _of_string(_joined(values)), {}
    if are_frames(values):
        return _put_together(None, None, values), {}
    found: LoggedException | None = None
    rests: dict[str, object] = {}
    for at, value in enumerate(values):
        one, rest = _read(value, depth - 1)
        rests |= {f"{at}.{name}" if at else name: other for name, other in rest.items()}
        if one is not None:
            found = one if found is None else _caused(found, one)
    return found, rests


def _joined(lines: list[object]) -> str:
    return "\n".join(str(line).removesuffix("\n") for line in lines)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
