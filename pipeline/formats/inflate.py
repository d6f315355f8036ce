"""Inflation of a request's body as it is read, up to a limit.

A few kilobytes may inflate to gigabytes, so a body is inflated in steps, and each step is counted before it is kept.
"""

import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Protocol

from zstandard import ZstdDecompressor, ZstdError

from pipeline.formats.invalid_input import InvalidInput, shown
from pipeline.formats.zstd_frames import MAX_WINDOW, ZstdFrames

_STEP = 64 * 1024
"""Inflated bytes that are made before they are counted."""
# zlib copies the compressed bytes that a step did not need, so a step gets few of them.
_PIECE = 16 * 1024
# Blocks and members without content are work, too.
_MOST_EMPTY = 256 * 1024
_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
_ZLIB_METHOD, _ZLIB_CHECK = 8, 31
_ZLIB_HEADER_BYTES = 2


class TooLarge(Exception):
    """A body of more bytes than allowed."""


class Inflater:
    """Inflates a request's body as it is read, up to a limit.

    `encoding` is the Content-Encoding as it was sent: gzip, x-gzip, deflate (with zlib's header or without), zlib (as
    the Collector names it), zstd or identity, of which only one may be a compression; empty for none. `most` is the
    largest inflated body in bytes. Raises InvalidInput for any other encoding.

    It holds the inflated bytes up to `most`, and one step of 64 KiB; for zstd also its window, up to 32 MiB.
    """

    def __init__(self, encoding: str, most: int) -> None:
        self._name = _compression(encoding)
        self._body = _Body(most)
        self._stream = _STREAMS[self._name](self._body)
        self._received = 0
        # What cannot be compressed becomes a little longer; more than that are empty blocks, which might never end.
        self._longest = most + _STEP

    @property
    def size(self) -> int:
        """The inflated bytes so far."""
        return self._body.tell()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes as they were sent; raises TooLarge, or InvalidInput for broken data."""
        self._received += len(chunk)
        if self._received > self._longest:
            raise TooLarge(f"the body has more than {self._longest} bytes as it was sent")
        for start in range(0, len(chunk), _PIECE):
            self._stream.feed(chunk[start : start + _PIECE])
        if self._received > _MOST_EMPTY + 2 * self.size:
            raise InvalidInput("compressed", f"the {self._name} data is much longer than its content")

    def finish(self) -> bytes:
        """Return the whole body; raises InvalidInput if the compressed data has not ended.

        A body without any bytes is empty in every encoding, as some senders have it.
        """
        if self._received and not self._stream.ended:
            raise InvalidInput("compressed", f"the body ends before its {self._name} data does")
        return self._body.getvalue()


class _Body(BytesIO):
    """The inflated bytes; takes no more than the limit."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def write(self, part: bytes) -> int:  # type: ignore[override] # not any buffer
        if self.tell() + len(part) > self._most:
            raise TooLarge(f"the body has more than {self._most} bytes, inflated")
        return super().write(part)


class _Stream(Protocol):
    """Inflates into a body."""

    @property
    def ended(self) -> bool:
        """Return True if the data may end here."""

    def feed(self, piece: bytes) -> None:
        """Inflate the next bytes; raises TooLarge or InvalidInput."""


class _Identity:
    """Data that is not compressed."""

    ended = True

    def __init__(self, body: _Body) -> None:
        self._body = body

    def feed(self, piece: bytes) -> None:
        """Keep the next bytes; raises TooLarge."""
        self._body.write(piece)


class _Gzip:
    """One or more members of gzip."""

    def __init__(self, body: _Body) -> None:
        self._body = body
        self._member = zlib.decompressobj(_GZIP)

    @property
    def ended(self) -> bool:
        """Return True after a whole member."""
        return self._member.eof

    def feed(self, piece: bytes) -> None:
        """Inflate the next bytes; raises TooLarge or InvalidInput."""
        while piece:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP)
            piece = _inflated(self._member, piece, self._body, "gzip")


class _Deflate:
    """One stream of deflate, with zlib's header or without."""

    def __init__(self, body: _Body) -> None:
        self._body = body
        self._head = b""
        self._stream: zlib._Decompress | None = None

    @property
    def ended(self) -> bool:
        """Return True at the stream's end."""
        return self._stream is not None and self._stream.eof

    def feed(self, piece: bytes) -> None:
        """Inflate the next bytes; raises TooLarge or InvalidInput."""
        if self._stream is None:
            self._head += piece
            if len(self._head) < _ZLIB_HEADER_BYTES:
                return
            piece = self._head
            self._stream = zlib.decompressobj(_ZLIB if _has_zlib_header(piece) else _RAW)
        if _inflated(self._stream, piece, self._body, "deflate"):
            raise InvalidInput("compressed", "the body goes on behind the end of its deflate data")


class _Zstd:
    """One or more frames of zstd."""

    def __init__(self, body: _Body) -> None:
        self._frames = ZstdFrames()
        # The writer gets at most a step at once, and what it raises ends the inflation.
        inflater = ZstdDecompressor(max_window_size=MAX_WINDOW)
        self._writer = inflater.stream_writer(body, write_size=_STEP, closefd=False)

    @property
    def ended(self) -> bool:
        """Return True after a whole frame."""
        return self._frames.ended

    def feed(self, piece: bytes) -> None:
        """Inflate the next bytes; raises TooLarge or InvalidInput."""
        self._frames.walk(piece)
        try:
            self._writer.write(piece)
        except ZstdError as error:
            raise _broken("zstd", error) from None


_STREAMS: dict[str, Callable[[_Body], _Stream]] = {
    "identity": _Identity,
    "gzip": _Gzip,
    "x-gzip": _Gzip,
    "deflate": _Deflate,
    "zlib": _Deflate,
    "zstd": _Zstd,
}


def _compression(encoding: str) -> str:
    """Return the compression that a Content-Encoding names, or identity; raises InvalidInput."""
    names = [name for part in encoding.lower().split(",") if (name := part.strip()) not in ("", "identity")]
    if len(names) > 1:
        raise InvalidInput("encoding", f"a body may be compressed once, not {shown(encoding)}")
    name = names[0] if names else "identity"
    if name not in _STREAMS:
        raise InvalidInput("encoding", f"{shown(encoding)} is not taken, only gzip, deflate, zstd and identity are")
    return name


def _inflated(stream: "zlib._Decompress", piece: bytes, body: _Body, name: str) -> bytes:
    """Inflate bytes into a body; return those behind the end of the stream."""
    try:
        while True:
            part = stream.decompress(piece, _STEP)
            body.write(part)
            piece = stream.unconsumed_tail
            # A full step may leave bytes in zlib, even if it has taken the whole piece.
            if not piece and len(part) < _STEP:
                return stream.unused_data
    except zlib.error as error:
        raise _broken(name, error) from None


def _has_zlib_header(head: bytes) -> bool:
    """Return True for zlib's header; a stream without one never has its method and a right checksum."""
    return head[0] & 15 == _ZLIB_METHOD and int.from_bytes(head[:_ZLIB_HEADER_BYTES]) % _ZLIB_CHECK == 0


def _broken(name: str, error: Exception) -> InvalidInput:
    return InvalidInput("compressed", f"the body is no valid {name} data ({error})")
