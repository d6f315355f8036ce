"""Stack traces from lists of frames as JSON objects: log4j2, JBoss, logback, Sentry, structlog, zerolog, PHP.

Frames are printed as the runtime would print them: those of Python the oldest first, behind `Traceback`; all others
in their order, as Java does.
"""

import json
from collections.abc import Mapping, Sequence

# Names without case and `_`; of several the first with a value.
_CLASSES = ("class", "classname", "declaringclass", "module")
_METHODS = ("method", "methodname", "function", "functionname", "func", "name")
_FILES = ("file", "filename", "source", "path", "abspath")
_LINES = ("lineno", "linenumber", "line")


def are_frames(values: Sequence[object]) -> bool:
    """Return True if these are frames: objects that each name a method or a line in a file, and no message."""
    return bool(values) and all(
        isinstance(one, dict)
        and not one.keys() & {"message", "msg", "exc_value", "value"}
        and (names := {_plain(name) for name in one}) & {*_METHODS, *_FILES}
        and names & {*_LINES, *_METHODS, *_FILES} - {"name"}
        for one in values
    )


def rendered_trace(header: str, frames: Sequence[Mapping[str, object]]) -> str:
    """Return a stack trace, one line a frame; `header` is the exception's type and message, or empty.

    Other values of a frame, such as local variables, follow on its line as JSON.
    """
    parsed = [_Frame(frame) for frame in frames]
    if any(frame.file.endswith(".py") for frame in parsed):
        lines = ["Traceback (most recent call last):", *(frame.as_python() for frame in parsed), header]
    else:
        lines = [header, *(frame.as_java() for frame in parsed)]
    return "\n".join(line for line in lines if line)


class _Frame:
    """The parts of a frame as texts, empty if absent."""

    def __init__(self, frame: Mapping[str, object]) -> None:
        spelled = {_plain(name): name for name in frame}
        taken: set[str] = set()

        def first(names: Sequence[str]) -> str:
            for name in names:
                value = frame[spelled[name]] if name in spelled else None
                if value is not None and value != "" and not isinstance(value, dict | list | bool):
                    taken.add(spelled[name])
                    return str(value)
            return ""

        self.file = first(_FILES)
        self.line = first(_LINES)
        self._class = first(_CLASSES)
        self._method = first(_METHODS)
        others = {name: one for name, one in frame.items() if name not in taken and one not in (None, "", [], {})}
        self._others = " " + json.dumps(others, ensure_ascii=False, default=str) if others else ""

    def as_java(self) -> str:
        method = ".".join(part for part in (self._class, self._method) if part)
        place = ":".join(part for part in (self.file, self.line) if part)
        return f"\tat {method}({place}){self._others}" if method else f"\tat {place}{self._others}"

    def as_python(self) -> str:
        line = f", line {self.line}" if self.line else ""
        method = f", in {self._method}" if self._method else ""
        module = f" ({self._class})" if self._class else ""
        return f'  File "{self.file}"{line}{method}{module}{self._others}'


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
