"""Lines of a file as UTF-8, however it is compressed and encoded."""

import bz2
import gzip
import lzma
import re
from collections.abc import Iterator
from io import BufferedReader, TextIOWrapper
from typing import IO, cast

from pipeline.formats.invalid_input import InvalidInput

_MAGIC = {"gzip": b"\x1f\x8b", "bzip2": b"BZh", "xz": b"\xfd7zXZ\x00", "zstd": b"\x28\xb5\x2f\xfd"}
UTF8_BOM = b"\xef\xbb\xbf"
"""The byte order mark of UTF-8."""
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_MAGIC_BYTES = 6
# UTF-16 of two ASCII characters, or of one that a line feed follows, whose NUL is in the next line of bytes.
_LITTLE = re.compile(rb"[\x01-\x7f]\0(?:[\x01-\x7f]\0|\n\Z)")

DAMAGED = (OSError, EOFError, lzma.LZMAError)
"""What reading a damaged compressed file raises, besides `zlib.error`."""


def compression(raw: BufferedReader) -> str | None:
    """Return the name of the compression of a stream that is at its beginning, or None if it has none."""
    magic = raw.peek(_MAGIC_BYTES)
    return next((name for name, begins in _MAGIC.items() if magic.startswith(begins)), None)


def decompressed(raw: BufferedReader) -> IO[bytes]:
    """Return a stream's content, decompressed if it begins like gzip, bzip2 or xz; raises InvalidInput for zstd."""
    match compression(raw):
        case "gzip":
            return cast("IO[bytes]", gzip.GzipFile(fileobj=raw))
        case "bzip2":
            return cast("IO[bytes]", bz2.BZ2File(raw))
        case "xz":
            return cast("IO[bytes]", lzma.LZMAFile(raw))
        case "zstd":
            raise InvalidInput("compressed", "the file is compressed with zstd: decompress it first (zstd -d)")
    return raw


def utf8_lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a stream with their ends, as UTF-8 without a byte order mark; UTF-16 is decoded.

    Bytes that are no UTF-8 stay as they are. Without a byte order mark it is UTF-16 if a NUL follows each of the first
    two characters, or the only one of the first line.
    """
    first = stream.readline()
    little = _LITTLE.match(first) is not None
    if first[:2] in _UTF16_BOMS or little:
        # The end of a line of UTF-16 has a second byte, which is in the next line of bytes.
        encoding = "utf-16" if first[:2] in _UTF16_BOMS else "utf-16-le"
        rest = TextIOWrapper(cast("BufferedReader", _Rejoined(first, stream)), encoding, errors="replace", newline="\n")
        for line in rest:
            yield line.encode(errors="replace")
        return
    if first:
        yield first.removeprefix(UTF8_BOM)
    yield from stream


class _Rejoined:
    """A stream whose first bytes were read already, as TextIOWrapper needs one."""

    closed = False

    def __init__(self, first: bytes, rest: IO[bytes]) -> None:
        self._first = first
        self._rest = rest

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def flush(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Leave the stream open: its owner closes it."""
        self.closed = True

    def read1(self, size: int) -> bytes:
        """Return some bytes."""
        first, self._first = self._first, b""
        return first or self._rest.read(size)
