"""The frames of zstd data (RFC 8878): where the data may end, and how large a window it needs."""

from zstandard import ZstdError, frame_header_size, get_frame_parameters

from pipeline.formats.invalid_input import InvalidInput

MAX_WINDOW = 32 * 1024 * 1024
"""The largest window in bytes. RFC 9659 allows HTTP 8 MiB; the Collector's zstd uses up to 32 at its best level."""

_MEBIBYTE = 1024 * 1024
# The fewest bytes by which zstd knows the size of a header.
_PREFIX_BYTES = 5
_SKIPPED, _SKIPPED_MASK = 0x184D2A50, 0xFFFFFFF0
_MAGIC_BYTES, _SKIPPED_HEADER_BYTES = 4, 8
_BLOCK_HEADER_BYTES, _CHECKSUM_BYTES = 3, 4
# A block that is one byte, repeated as often as its size says.
_REPEATED = 1


class ZstdFrames:
    """Follows zstd data, in pieces of any size.

    libzstd says nothing about the end of a frame to those who give it data in pieces.
    """

    def __init__(self) -> None:
        # The header that is being read, how long it is, and if it is that of a block.
        self._head = b""
        self._wanted = _PREFIX_BYTES
        self._in_frame = False
        # Bytes up to the next header.
        self._skip = 0
        self._checksum_bytes = 0

    @property
    def ended(self) -> bool:
        """Return True if no frame has begun that has not ended."""
        return not (self._in_frame or self._head or self._skip)

    def walk(self, piece: bytes) -> None:
        """Follow the next bytes; raises InvalidInput for what is no frame, and for one with a too large window."""
        at, end = 0, len(piece)
        while at < end:
            if self._skip:
                step = min(self._skip, end - at)
                self._skip -= step
                at += step
                continue
            step = self._wanted - len(self._head)
            self._head += piece[at : at + step]
            at += step
            if len(self._head) == self._wanted:
                if self._in_frame:
                    self._block()
                else:
                    self._frame()

    def _frame(self) -> None:
        head = self._head
        if int.from_bytes(head[:_MAGIC_BYTES], "little") & _SKIPPED_MASK == _SKIPPED:
            if not self._wants(_SKIPPED_HEADER_BYTES):
                self._skip = int.from_bytes(head[_MAGIC_BYTES:], "little")
                self._next(_PREFIX_BYTES)
            return
        try:
            if self._wants(frame_header_size(head)):
                return
            found = get_frame_parameters(head)
        except ZstdError as error:
            raise InvalidInput("compressed", f"the body is no valid zstd data ({error})") from None
        if found.window_size > MAX_WINDOW:
            raise InvalidInput(
                "compressed",
                f"the body needs a zstd window of {found.window_size / _MEBIBYTE:.0f} MiB, and at most "
                f"{MAX_WINDOW // _MEBIBYTE} MiB are taken: compress it at a lower level, without a long distance",
            )
        self._checksum_bytes = _CHECKSUM_BYTES if found.has_checksum else 0
        self._in_frame = True
        self._next(_BLOCK_HEADER_BYTES)

    def _block(self) -> None:
        header = int.from_bytes(self._head, "little")
        is_last, kind, size = header & 1, header >> 1 & 3, header >> 3
        self._skip = 1 if kind == _REPEATED else size
        if is_last:
            self._skip += self._checksum_bytes
            self._in_frame = False
        self._next(_PREFIX_BYTES if is_last else _BLOCK_HEADER_BYTES)

    def _wants(self, size: int) -> bool:
        """Ask for a header of this size; return True if more of it must come."""
        self._wanted = size
        return len(self._head) < size

    def _next(self, wanted: int) -> None:
        self._head = b""
        self._wanted = wanted
