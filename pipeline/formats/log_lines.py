"""Records of a log file from its lines: JSON in any arrangement, text with stack traces, container runtimes' lines."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from pipeline.formats.envelopes import Entry, may_be_envelope, opened, opened_text
from pipeline.formats.file_bytes import UTF8_BOM
from pipeline.formats.invalid_input import InvalidInput
from pipeline.formats.json_values import load_json, load_several
from pipeline.formats.otlp_logs import otlp_lines
from pipeline.formats.spans import span_format
from pipeline.formats.text_lines import is_continuation

# The container runtime interface: time, stream, partial or full, and the rest of the line.
_CRI = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*) (stdout|stderr) ([FP])(?::\S*)? (.*)", re.DOTALL)
# Names of objects that may be something else than a logger's line: spans, or OpenTelemetry's JSON.
_OTHERS = frozenset(
    {"logEvents", "resourceLogs", "resourceSpans", "startTimeUnixNano", "id", "data", "spans", "spanID"}
)
_CRI_CHARS = 60
_DOCKER = {"log", "stream", "time"}
# First bytes of lines that are neither an object nor plain text.
_UNUSUAL = frozenset({b"[", b"]", b",", b"\0", b"\x1e", b"\xef", b" ", b"\t", b"\r", b"\n", b""})
# NUL is left by rotation in place, the record separator comes from RFC 7464, the mark from files that were joined.
_NOISE = b"\0\x1e"
_LONGEST = 1 << 20
"""Bytes; records of several lines are not joined beyond it."""


class LogLine(NamedTuple):
    """A record of a file: the number of its first line, its place among several values of that line, and its fields."""

    number: int
    position: tuple[int, ...]
    entry: Entry | InvalidInput

    def identity(self, digest: str) -> str:
        """Return the id of the record: a digest of its file, and its place there."""
        return "-".join([digest, str(self.number), *map(str, self.position)])


def read_log_lines(lines: Iterable[bytes]) -> Iterator[LogLine]:
    """Yield the records of a file's lines, in order; the lines are UTF-8, with their ends.

    A JSON value may span several lines, and a line may have several values, separated by commas or nothing. Arrays are
    read as their elements. A stack trace belongs to the line of text before it. Partial lines of container runtimes are
    joined. A broken JSON value, and one that is no object, is an InvalidInput.
    """
    yield from _Assembler().read(lines)


@dataclass(slots=True)
class _Begun:
    """A JSON value that spans lines: its first line, the others, the size of all, and the open brackets."""

    number: int
    first: bytes
    others: list[tuple[int, bytes, Entry | None]]
    """With their numbers and envelopes: they may turn out to be none of its lines."""
    size: int
    depth: int

    @property
    def text(self) -> bytes:
        return b"\n".join([self.first, *(line for _, line, _ in self.others)])


class _Assembler:
    def __init__(self) -> None:
        self._partial: dict[bytes, tuple[int, bytes]] = {}
        """Parts of a line, by stream of a container."""
        self._json: _Begun | None = None
        """A JSON value that is not complete."""
        self._text: tuple[int, list[str], Entry | None] | None = None
        """Lines of text that the next line may continue, and what was wrapped around the first of them."""

    def read(self, lines: Iterable[bytes]) -> Iterator[LogLine]:
        number = 0
        for number, line in enumerate(lines, 1):
            begins = line[:1]
            if self._json is not None or begins in _UNUSUAL or b" std" in line[:_CRI_CHARS]:
                yield from self._line(number, line.strip(_NOISE).removeprefix(UTF8_BOM).rstrip(b"\r\n"))
            elif begins != b"{":
                yield from self._of_text(number, line.rstrip(b"\r\n"), None)
            elif (value := _decoded(line)) is None:
                yield from self._line(number, line.rstrip(b"\r\n"))
            else:
                if self._text is not None:
                    yield self._ended_text(self._text)
                if (known := _plain(value)) is not None:
                    yield LogLine(number, (), known)
                else:
                    yield from self._whole(number, (), value, None)
        for first, text in self._partial.values():
            yield from self._content(first, text, None)
        yield from self._end_json()
        yield from self._end_text()

    def _line(self, number: int, line: bytes) -> Iterator[LogLine]:
        if b" std" in line[:_CRI_CHARS] and (cri := _CRI.fullmatch(line)):
            yield from self._of_container(number, cri)
        else:
            yield from self._content(number, line, None)

    def _of_container(self, number: int, cri: re.Match[bytes]) -> Iterator[LogLine]:
        """Join the partial lines of a stream; the runtime's time counts where the line has none."""
        time, stream, kind, rest = cri.groups()
        first, before = self._partial.pop(stream, (number, b""))
        whole = before + rest
        if kind == b"P" and len(whole) < _LONGEST:
            self._partial[stream] = first, whole
            return
        envelope = Entry({"stream": stream.decode()}, time.decode(errors="replace"))
        yield from self._content(first, whole, envelope)

    def _content(self, number: int, line: bytes, envelope: Entry | None) -> Iterator[LogLine]:
        """Read a line without the runtime's prefix."""
        if self._json is not None:
            yield from self._more_json(self._json, number, line, envelope)
            return
        stripped = line.strip()
        if stripped[:1] in (b"{", b"["):
            yield from self._start_json(number, stripped, envelope)
        elif stripped.strip(b",]"):
            yield from self._of_text(number, line, envelope)
        elif self._text is not None and not stripped:
            self._text[1].append("")

    def _start_json(self, number: int, line: bytes, envelope: Entry | None) -> Iterator[LogLine]:
        values = _values(line)
        depth = 0 if values is not None else _depth(line)
        if values is None and depth:
            values = _values(line.lstrip(b"[").rstrip(b"],"))  # the first or the last elements of an array
        if values is not None:
            yield from self._end_text()
            for index, value in values:
                yield from self._whole(number, index, value, envelope)
        elif depth > 0 and line != b"[":
            yield from self._end_text()
            self._json = _Begun(number, line, [], len(line), depth)
        elif line[:1] == b"[" and line != b"[":  # [pod/pay-7f/pay] or [2026-11-20 08:15:30]
            yield from self._of_text(number, line, envelope)
        elif line != b"[":
            yield from self._end_text()
            yield LogLine(number, (), _refusal(line))

    def _whole(self, number: int, index: tuple[int, ...], value: object, envelope: Entry | None) -> Iterator[LogLine]:
        """Join the parts into which Docker splits long lines: only the last one ends like a line."""
        if not isinstance(value, dict) or not value.keys() >= _DOCKER or not isinstance(text := value["log"], str):
            yield from _records(number, index, value, envelope)
            return
        stream = str(value["stream"]).encode()
        first, before = self._partial.pop(stream, (number, b""))
        whole = before.decode(errors="replace") + text
        if text.endswith("\n") or len(whole) > _LONGEST:
            yield from _records(first, index, value | {"log": whole}, envelope)
        else:
            self._partial[stream] = first, whole.encode(errors="replace")

    def _more_json(self, begun: _Begun, number: int, line: bytes, envelope: Entry | None) -> Iterator[LogLine]:
        """Add a line to a JSON value that spans several."""
        # An object at the beginning of a line is no part of an indented one: the one before was cut off.
        if (line[:1] == b"{" and begun.first[:1] == b"{") or begun.size > _LONGEST:
            yield from self._end_json()
            yield from self._content(number, line, envelope)
            return
        begun.others.append((number, line, envelope))
        begun.size += 1 + len(line)
        begun.depth += _depth(line)
        if begun.depth > 0:
            return
        values = _values(begun.text)
        if values is None:
            yield from self._end_json()
            return
        self._json = None
        for index, value in values:
            yield from _records(begun.number, index, value, envelope)

    def _end_json(self) -> Iterator[LogLine]:
        """Refuse the JSON value that is not complete, if any; lines after its first that are no JSON are text."""
        if self._json is None:
            return
        begun, self._json = self._json, None
        yield LogLine(begun.number, (), _refusal(begun.text))
        for number, line, envelope in begun.others:
            stripped = line.strip()
            if stripped[:1] == b"{" and (value := _decoded(stripped)) is not None:
                yield from self._end_text()
                yield from self._whole(number, (), value, envelope)
            elif not _PIECE.match(stripped):
                yield from self._of_text(number, line, envelope)

    def _of_text(self, number: int, line: bytes, envelope: Entry | None) -> Iterator[LogLine]:
        text = line.decode(errors="replace")
        if self._text is not None:
            if is_continuation(text):
                self._text[1].append(text)
                return
            yield self._ended_text(self._text)
        self._text = number, [text], envelope

    def _end_text(self) -> Iterator[LogLine]:
        if self._text is not None:
            yield self._ended_text(self._text)

    def _ended_text(self, begun: tuple[int, list[str], Entry | None]) -> LogLine:
        number, lines, envelope = begun
        self._text = None
        while len(lines) > 1 and not lines[-1]:
            lines.pop()
        return LogLine(number, (), opened_text("\n".join(lines), envelope))


def _decoded(line: bytes) -> dict[str, object] | None:
    """Return the JSON object that a line is, or None for any other line."""
    try:
        value = load_json(line)
    except InvalidInput:
        return None
    return value if isinstance(value, dict) else None


def _plain(value: dict[str, object]) -> Entry | None:
    """Return the record of an object that a logger wrote, as nearly all are; None for what may be something else."""
    if not _may_be_plain(tuple(value)):
        return None
    message = value.get("message")
    if type(message) is str and not message[:1].isalnum():  # it may be JSON
        return opened(value, None)
    return Entry(value, None)


# Lines of one logger have few sets of names.
@lru_cache(maxsize=2048)
def _may_be_plain(names: tuple[str, ...]) -> bool:
    """Return True if an object with these names is no span, no export of OpenTelemetry and no envelope."""
    return _OTHERS.isdisjoint(names) and not may_be_envelope(names)


def _records(number: int, index: tuple[int, ...], value: object, envelope: Entry | None) -> Iterator[LogLine]:
    """Yield the records of a JSON value."""
    if isinstance(value, list):
        for position, one in enumerate(value):
            yield from _records(number, (*index, position), one, envelope)
    elif not isinstance(value, dict):
        yield LogLine(number, index, InvalidInput("no object", f"a log line is an object, not {value!r:.60}"))
    elif (name := span_format(value)) is not None:
        said = f"these are spans ({name}), not log lines: send them with --spans, or to /v1/traces of the gateway"
        yield LogLine(number, index, InvalidInput("span", said))
    elif isinstance(events := value.get("logEvents"), list):
        others = {name: field for name, field in value.items() if name != "logEvents"}
        for position, one in enumerate(events):
            event = one | others if isinstance(one, dict) else one
            yield from _records(number, (*index, position), event, envelope)
    elif "resourceLogs" in value:
        for position, one in enumerate(otlp_lines(value)):
            yield LogLine(number, (*index, position), one if isinstance(one, InvalidInput) else Entry(one, None))
    else:
        yield LogLine(number, index, opened(value, envelope))


def _values(text: bytes) -> list[tuple[tuple[int, ...], object]] | None:
    """Return the JSON values of a text with their positions, or None if it has anything else than values and commas."""
    try:
        return [((), load_json(text))]
    except InvalidInput:
        several = load_several(text)
    if several is None:
        return None
    return [((position,) if len(several) > 1 else (), value) for position, value in enumerate(several)]


def _refusal(text: bytes) -> InvalidInput:
    """Return why a text that begins like JSON is none."""
    try:
        load_json(text)
    except InvalidInput as error:
        return error
    return InvalidInput("no JSON", "unexpected content after the value")


def _depth(text: bytes) -> int:
    """Return the number of brackets that a text opens and does not close, outside of strings."""
    plain = _STRINGS.sub(b"", text)
    return plain.count(b"{") + plain.count(b"[") - plain.count(b"}") - plain.count(b"]")


_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"?')
# A line of a JSON value that is written over several: brackets, names, values.
_PIECE = re.compile(
    rb"""
    [{\[]\s*+(?:["{}\[\]]|$)
    |[}\],:]
    |"(?:[^"\\]|\\.)*+"\s*+(?:[,:}\]]|$)
    |(?:-?\d[\d.eE+-]*+|true|false|null)\s*+[,}\]]*+$
    |$
    """,
    re.VERBOSE,
)
