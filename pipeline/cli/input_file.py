"""Reader of JSON files: a list, or one value per line; plain or gzip; `-` is standard input."""

import gzip
import hashlib
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import orjson

from tracelink.errors import UserError

if TYPE_CHECKING:
    from io import BufferedReader

STDIN = Path("-")
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
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
class Refusal:
    """A place in a file that could not be read, and why."""

    place: str
    reason: str
    detail: str


class InputFile:
    """One file to read; raises UserError if it cannot be opened.

    Identities of values begin with a digest of the file's bytes on disk. A pipe can be read only once, so there they
    begin with a digest of the line. `size` is in bytes, None for a pipe.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size: int | None = None
        self._digest: str | None = None
        try:
            self._raw: BufferedReader = cast("BufferedReader", sys.stdin.buffer) if path == STDIN else path.open("rb")
            if path != STDIN and self._raw.seekable():
                self.size = path.stat().st_size
                self._digest = hashlib.file_digest(self._raw, "sha256").hexdigest()[:_DIGEST_CHARS]
                self._raw.seek(0)
        except OSError as error:
            raise UserError(f"Cannot read {path}: {error.strerror}.") from None
        if path.suffix == ".gz" and self.size and self._raw.peek(2)[:2] != _GZIP:
            self._raw.close()
            raise UserError(f"{path} is not a gzip file, although its name ends in .gz: rename it.")

    def items(self) -> Iterator[Item | Refusal]:
        """Yield the values in order; for a list its elements, also for lists in a list, as in Zipkin's answers.

        An invalid line is one refusal, and so is a truncated list. Lines are read one by one, a list over several lines
        as a whole.
        """
        number = 0
        try:
            stream: IO[bytes] = self._raw
            if self._raw.peek(2)[:2] == _GZIP:
                stream = cast("IO[bytes]", gzip.GzipFile(fileobj=self._raw))
            started = False
            for line in stream:
                number += 1
                text = line.removeprefix(_BOM) if number == 1 else line
                if not started and text.strip():
                    started = True
                    if text.lstrip().startswith(b"[") and not _is_json(text):
                        yield from self._document([b"\n"] * (number - 1) + [text, *stream])
                        return
                yield from self._line(text, number)
        except (OSError, EOFError, zlib.error) as error:
            yield Refusal(f"{self.path}:{number + 1}", "unreadable", f"cannot read the file from here on ({error})")

    def _document(self, lines: list[bytes]) -> Iterator[Item | Refusal]:
        """Read a list over several lines; if it is not one, the first line is invalid and the others may be valid."""
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


def _is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_DIGEST_CHARS]
