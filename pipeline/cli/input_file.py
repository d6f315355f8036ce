"""Reader of files of spans and of log lines, plain or compressed; `-` is standard input."""

import hashlib
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import orjson

from pipeline.formats.envelopes import Entry
from pipeline.formats.file_bytes import DAMAGED, compression, decompressed, utf8_lines
from pipeline.formats.invalid_input import InvalidInput, kept
from pipeline.formats.log_lines import read_log_lines
from tracelink.errors import UserError

if TYPE_CHECKING:
    from io import BufferedReader

T = TypeVar("T")
STDIN = Path("-")
_DIGEST_CHARS = 32


@dataclass(frozen=True, slots=True)
class Item:
    """One value of a file, with its place (`FILE:LINE`, `FILE[INDEX]`) and its identity.

    The identity is unique, and the same each time the same file is read.
    """

    place: str
    identity: str
    value: object


@dataclass(frozen=True, slots=True)
class LineItem:
    """One log line of a file, with its place and its identity, which are as those of an `Item`."""

    place: str
    identity: str
    entry: Entry


@dataclass(frozen=True, slots=True)
class Refusal:
    """A place in a file that could not be read, and why."""

    place: str
    reason: str
    detail: str


class InputFile:
    """One file to read; raises UserError if it cannot be opened.

    Identities of values begin with a digest of the file's bytes on disk. A pipe can be read only once, so there they
    begin with a digest of the line. `size` is in bytes, None for a pipe. `modified` is the time of the last change of a
    file, and the time at which a pipe was opened, in microseconds since the epoch. `compression` is known as soon as
    the first line is read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size: int | None = None
        self.modified = time.time_ns() // 1000
        self.compression: str | None = None
        self._digest: str | None = None
        try:
            self._raw: BufferedReader = cast("BufferedReader", sys.stdin.buffer) if path == STDIN else path.open("rb")
            if path != STDIN and self._raw.seekable():
                status = path.stat()
                self.size, self.modified = status.st_size, status.st_mtime_ns // 1000
                self._digest = hashlib.file_digest(self._raw, "sha256").hexdigest()[:_DIGEST_CHARS]
                self._raw.seek(0)
        except OSError as error:
            raise UserError(f"Cannot read {path}: {error.strerror}.") from None
        if path.suffix == ".gz" and self.size and compression(self._raw) != "gzip":
            self._raw.close()
            raise UserError(f"{path} is not a gzip file, although its name ends in .gz: rename it.")

    def items(self) -> Iterator[Item | Refusal]:
        """Yield the values in order; for a list its elements, also for lists in a list, as in Zipkin's answers.

        An invalid line is one refusal, and so is a truncated list or object. Lines are read one by one, a list or an
        object over several lines as a whole.
        """
        yield from self._guarded(self._values)

    def log_lines(self) -> Iterator[LineItem | Refusal]:
        """Yield the log lines in order, JSON and text; see `read_log_lines`."""
        yield from self._guarded(self._log_lines)

    def _guarded(self, read: Callable[[Iterator[bytes]], Iterator[T]]) -> Iterator[T | Refusal]:
        """Read the file's lines; damage of a compressed file is one refusal, at the line that it is in."""
        number = 0

        def counted() -> Iterator[bytes]:
            nonlocal number
            self.compression = compression(self._raw)
            for number, line in enumerate(utf8_lines(decompressed(self._raw)), 1):  # noqa: B007 - counted for refusals
                yield line

        try:
            yield from read(counted())
        except InvalidInput as error:
            yield Refusal(str(self.path), error.reason, error.detail)
        except (*DAMAGED, zlib.error) as error:
            yield Refusal(f"{self.path}:{number + 1}", "unreadable", f"cannot read the file from here on ({error})")

    def _log_lines(self, lines: Iterator[bytes]) -> Iterator[LineItem | Refusal]:
        for found in read_log_lines(lines):
            place = f"{self.path}:{found.number}" + "".join(f"[{index}]" for index in found.position)
            if isinstance(found.entry, InvalidInput):
                yield Refusal(place, found.entry.reason, found.entry.detail)
                continue
            digest = self._digest or _digest(kept(found.entry.fields).encode())
            yield LineItem(place, found.identity(digest), found.entry)

    def _values(self, lines: Iterator[bytes]) -> Iterator[Item | Refusal]:
        started = False
        for number, line in enumerate(lines, 1):
            if not started and line.strip():
                started = True
                if _begins_document(line):
                    yield from self._document([b"\n"] * (number - 1) + [line, *lines])
                    return
            yield from self._line(line, number)

    def _document(self, lines: list[bytes]) -> Iterator[Item | Refusal]:
        """Read a value over several lines; if it is not one, the first line is invalid and the others may be valid."""
        content = b"".join(lines)
        try:
            value = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            written = [line for line in lines if line.strip()]
            if len(written) > 1 and _is_json(written[1]):
                for number, line in enumerate(lines, 1):
                    yield from self._line(line, number)
            else:
                yield Refusal(f"{self.path}:{error.lineno}", "no JSON", error.msg)
            return
        yield from _elements(value, str(self.path), self._digest or _digest(content))

    def _line(self, line: bytes, number: int) -> Iterator[Item | Refusal]:
        if not line.strip():
            return
        place = f"{self.path}:{number}"
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield Refusal(place, "no JSON", error.msg)
            return
        yield from _elements(value, place, f"{self._digest or _digest(line)}-{number}")

    @property
    def read(self) -> int:
        """The bytes on disk read so far; 0 for a pipe."""
        return 0 if self.size is None else self._raw.tell()

    def close(self) -> None:
        """Close the file; standard input stays open."""
        if self.path != STDIN:
            self._raw.close()


def _elements(value: object, place: str, identity: str, depth: int = 2) -> Iterator[Item]:
    if isinstance(value, list) and depth:
        for index, element in enumerate(value):
            yield from _elements(element, f"{place}[{index}]", f"{identity}-{index}", depth - 1)
    else:
        yield Item(place, identity, value)


def _begins_document(text: bytes) -> bool:
    """Return True if a list, or an object that breaks where a printer breaks it, goes on after its first line."""
    text = text.strip()
    begins = text.startswith(b"[") or (text.startswith(b"{") and text.endswith((b"{", b"[", b",")))
    return begins and not _is_json(text)


def _is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_DIGEST_CHARS]
