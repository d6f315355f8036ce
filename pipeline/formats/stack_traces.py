"""Exceptions in texts: stack traces as runtimes print them, and exceptions that are named in one line.

The forms are those of Java and Kotlin (`Throwable.printStackTrace`), Spring (`nested exception is`), Python
(`traceback`, also of exception groups), .NET (`Exception.ToString`), Node (`error.stack`), Go and Rust (panics), Ruby,
Rails, PHP, Monolog and Elixir. Each pattern reads a text in linear time: tokens match only from their beginning, and
quantifiers are possessive.
"""

import re
from collections.abc import Callable, Iterable

from tracelink.model.records import LoggedException

_SUFFIXES = ("Exception", "Error", "Failure", "Throwable")
_PYTHON = "Traceback (most recent call last)"
_PYTHON_GROUP = "Exception Group Traceback (most recent call last)"
_NESTED = "nested exception is "
_MOST_LINES = 50
"""The header of a trace is searched in so many lines before its first frame."""


def exception_of_text(text: str) -> LoggedException | None:
    """Return the exception in a text, or None.

    `type` is the qualified name of its class, `message` the rest of that line; of chained exceptions those of the one
    that was raised last. `stackTrace` is the end of the text from the trace's first line on, so a caller can cut it
    off; it is None if the text has no trace. A panic of Go or Rust has the type `panic`. A message of 100 characters
    without an exception costs about a tenth of parsing a JSON line of 300 bytes.
    """
    if "\n" in text and (found := _of_trace(text)):
        return found
    if "xception" in text or "Error" in text or "panic: " in text or "Uncaught " in text:
        return _of_line(text)
    return _of_line(text) if "Failure" in text or "Throwable" in text else None


def named_exception(line: str) -> LoggedException | None:
    """Return the exception that one line names at its beginning: `ValueError: no such card`; or None."""
    match = _HEADER.match(line)
    if match is None or match["code"] or not match["type"].endswith(_SUFFIXES) or match["type"] in _SUFFIXES:
        return None
    if not _CLASS.search(match["type"]):  # `handleError: …` is a method
        return None
    return _found(match["type"], match["message"])


def _found(kind: str | None, message: str | None, trace: str | None = None) -> LoggedException:
    return {"type": kind or None, "message": (message or "").strip() or None, "stackTrace": trace or None}


_CLASS = re.compile(r"(?:\A|[.:\\/])[A-Z]")
_NAME = r"[A-Za-z_$](?:[\w$.+\\`/]|::(?=\w))*+"
_INTRODUCTION = (
    r'(?:Exception in thread "[^"\n]*+" |Caused by: |Unhandled exception\. |Unhandled Exception: |Uncaught )'
)
# .NET and Node print a code behind the name of the class.
_CODE = r"[ \t]?(?:\[[^\]\n]*+\]|\([^)\n]*+\))"
_HEADER = re.compile(
    rf"[ \t]*+{_INTRODUCTION}?+(?P<type>{_NAME})(?P<code>{_CODE})?+(?::[ \t]*+(?P<message>[^\n]*+))?+[ \t\r]*+(?:\n|\Z)"
)
# The first frame of Java, .NET and Node, or the end of a list of frames that is cut.
_FRAME = re.compile(
    r"\n[ \t]++(?:at (?:async |new )?(?:<anonymous>|[^\s(:]++(?: \[as [^\]\n]*+\])?(?: ?\(|:(?=\S)))"
    r"|\.\.\. \d++ (?:more|common frames omitted))|\nCaused by: (?=[\w$.]++(?::|\s|\Z))"
)


def _of_trace(text: str) -> LoggedException | None:
    for mark, read in _TRACES:
        if mark in text and (found := read(text)):
            return found
    return None


def _framed(text: str) -> LoggedException | None:
    """Return the exception before the first frame of Java, .NET or Node: the nearest line that names a class."""
    found = _FRAME.search(text)
    if found is None:
        return None
    frame = found.start() + 1
    match = _header_before(text, frame)
    if match is None and text.startswith("Caused by: ", frame):
        match = _HEADER.match(text, frame)
    if match is None:
        return _found(None, None, text[frame:])
    message, _, _ = (match["message"] or "").partition(" ---> ")  # .NET before version 5
    return _found(match["type"], message, text[match.start() :])


def _header_before(text: str, frame: int) -> re.Match[str] | None:
    """Return the header of a trace: before its first frame, the nearest that surely names a class, else the nearest."""
    nearest = None
    for start in _line_starts(text, frame):
        match = _HEADER.match(text, start)
        if match is None:
            continue
        name = match["type"]
        if name.endswith(_SUFFIXES) or _QUALIFIED.fullmatch(name):
            return match
        if nearest is None and name[:1].isupper() and (match["message"] is not None or start + len(name) + 1 == frame):
            nearest = match
    return nearest


def _line_starts(text: str, end: int) -> Iterable[int]:
    """Yield where the lines before `end` begin, the last one first."""
    for _ in range(_MOST_LINES):
        if end <= 0:
            return
        end = text.rfind("\n", 0, end - 1) + 1
        yield end


_QUALIFIED = re.compile(r"(?:[A-Za-z_]\w*+[.\\])++[A-Z][\w$+`]*+|(?:[A-Z]\w*+::)++[A-Z]\w*+")


def _python(text: str) -> LoggedException:
    start = text.rfind("\n", 0, text.find(_PYTHON)) + 1
    group = text.find(_PYTHON_GROUP)
    last = group if group >= 0 else text.rfind(_PYTHON)
    kind = message = None
    for line in text[last:].split("\n")[1:]:
        bare = line.removeprefix("  | ").rstrip()
        name, _, rest = bare.partition(":")
        if _PYTHON_NAME.fullmatch(name) and (bare != name or "." in name or name[0].isupper()):
            kind, message = name, rest
            break
    return _found(kind, message, text[start:])


_PYTHON_NAME = re.compile(r"[A-Za-z_][\w.<>]*+")
_GO = re.compile(r"(?:^|(?<=[\s:]))(?P<type>panic|fatal error)(?:: | serving \S++ )(?P<message>[^\n]*+)")


def _go(text: str) -> LoggedException | None:
    """Return a panic of Go; of one that was recovered and raised again, the last."""
    first = last = _GO.search(text)
    if first is None or last is None:
        return None
    for match in _GO.finditer(text, first.end(), text.find("\ngoroutine ")):
        last = match
    start = text.rfind("\n", 0, first.start()) + 1
    return _found(last["type"], last["message"].strip().removesuffix(" [recovered]"), text[start:])


def _rust(text: str) -> LoggedException:
    at = text.find("panicked at ")
    start = text.rfind("\n", 0, at) + 1
    place, _, rest = text[at + len("panicked at ") :].partition("\n")
    if place.startswith("'"):  # before version 1.73: the message, then the place
        message = place[1:].rpartition("', ")[0] or place.strip("'")
    else:
        message = rest.partition("\n")[0] if place.rstrip().endswith(":") else place
    return _found("panic", message, text[start:])


_PHP = re.compile(
    r"Uncaught (?:exception )?'?(?P<type>\\?[A-Za-z_][\w\\]*+)'?(?:: | with message ')(?P<message>[^\n]*+)"
)
_MONOLOG = re.compile(r"\[object\] \((?P<type>[\w\\]++)\(code: [^)\n]*+\): (?P<message>[^\n]*+)")
_PHP_PLACE = re.compile(r"'? (?:in|at) \S++(?: on line \d++)?$")


def _php(text: str) -> LoggedException | None:
    if match := _PHP.search(text) or _MONOLOG.search(text):
        start = text.rfind("\n", 0, match.start()) + 1
        return _found(match["type"], _without_place(match["message"]), text[start:])
    frames = text.find("\nStack trace:")
    frames = frames if frames >= 0 else text.find("\n#0 ")
    match = _header_before(text, frames + 1)
    if match is None:
        return None
    return _found(match["type"], _without_place(match["message"] or ""), text[match.start() :])


def _without_place(message: str) -> str:
    """Return the message without the place behind it: ` in /app/Pay.php:7`."""
    start = max(message.rfind(" in "), message.rfind(" at "))
    if start < 0:
        return message
    start -= message[start - 1 : start] == "'"
    return message[:start] if _PHP_PLACE.match(message, start) else message


_RUBY_FRAME = re.compile(r"[ \t]*+(?:from )?[^\s:]++:\d++:in [`']")
_RUBY = re.compile(r"[^\s:]++:\d++:in [`'][^'\n]*+': (?P<message>[^\n]*+)")
_RAILS = re.compile(r"(?P<type>[A-Z][\w:]*+) \((?P<message>[^\n]*+)")


def _ruby(text: str) -> LoggedException | None:
    """Return an exception of Ruby: `FILE:LINE:in 'METHOD': MESSAGE (CLASS)`, or a class before frames."""
    start = 0
    for line in text.split("\n")[:_MOST_LINES]:
        if match := _RUBY.match(line):
            message, _, kind = match["message"].rstrip().rpartition(" (")
            if kind.endswith(")"):
                return _found(kind[:-1], message, text[start:])
        if match := _RAILS.match(line):
            message = match["message"].rstrip().removesuffix(":")
            if message.endswith(")") and _RUBY_FRAME.search(text, start):
                return _found(match["type"], message[:-1], text[start:])
        if _RUBY_FRAME.match(line):
            match = _header_before(text, start)
            return _found(match["type"], match["message"], text[match.start() :]) if match else None
        start += len(line) + 1
    return None


_ELIXIR = re.compile(r"\*\* \((?P<type>[A-Z][\w.]*+)\) (?P<message>[^\n]*+)")


def _elixir(text: str) -> LoggedException | None:
    match = _ELIXIR.search(text)
    return _found(match["type"], match["message"], text[match.start() :]) if match else None


# A text in each form of a trace, and the reader of that form; the surest first.
_TRACES: tuple[tuple[str, Callable[[str], LoggedException | None]], ...] = (
    (_PYTHON, _python),
    ("\ngoroutine ", _go),
    ("panicked at ", _rust),
    ("\n#0 ", _php),
    ("\nStack trace:", _php),
    (" at ", _framed),
    ("\tat ", _framed),
    ("\nCaused by: ", _framed),
    ("\t... ", _framed),
    (":in ", _ruby),
    ("** (", _elixir),
)

# A class with its package within a line, behind a mark that introduces it.
_WITHIN = re.compile(
    r"(?<=[:;,(\[=>] )(?P<type>(?:[A-Za-z_]\w*+\.)++[A-Z][\w$+]*+)"
    r"(?:(?<=Exception)|(?<=Error)|(?<=Failure)|(?<=Throwable)): (?P<message>[^\n]*+)"
)
_NESTED_NAME = re.compile(r"(?P<type>[A-Za-z_$][\w$.+]*+)(?:: (?P<message>[^\n]*+))?")
_CLOSES = {"]": "[", ")": "("}


def _of_line(text: str) -> LoggedException | None:
    """Return the exception that is named at the beginning of a line, behind `nested exception is`, or within a line.

    A name without its package is left alone: `ValidationError: …` may as well be the beginning of a sentence.
    """
    if (nested := text.rfind(_NESTED)) >= 0 and (match := _NESTED_NAME.match(text, nested + len(_NESTED))):
        return _found(match["type"].rstrip("."), _enclosed(match["message"] or ""))
    for line in text.split("\n", _MOST_LINES)[:_MOST_LINES]:
        if (found := named_exception(line)) and _QUALIFIED.fullmatch(found.get("type") or ""):
            return found
        if line.startswith("panic: "):
            return _found("panic", line.removeprefix("panic: "))
    if match := _PHP.search(text):
        return _found(match["type"], _without_place(match["message"]))
    if any(f"{suffix}: " in text for suffix in _SUFFIXES) and (match := _WITHIN.search(text)):
        return _found(match["type"], _enclosed(match["message"]))
    return None


def _enclosed(message: str) -> str:
    """Return a message up to the bracket that closes one before it: `[…; nested exception is X: MESSAGE] with …`."""
    opened: list[str] = []
    for at, char in enumerate(message):
        if char in "[(":
            opened.append(char)
        elif char in _CLOSES and (not opened or opened.pop() != _CLOSES[char]):
            return message[:at]
    return message
