"""Pieces of Avro's binary encoding (https://avro.apache.org/docs/1.12.0/specification/#binary-encoding)."""

from collections.abc import Iterable

_KEPT_LENGTHS = 4096
# A longer name is rare, and many of them would fill the memory.
_KEPT_NAMES, _LONGEST_NAME = 4096, 256


def varint(value: int) -> bytes:
    """Encode an int or long as Avro does: zigzag, seven bits per byte, lowest first."""
    value = (value << 1) ^ (value >> 63)
    out = []
    while value > 0x7F:  # noqa: PLR2004 - more than seven bits are left
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(message: bytes, at: int) -> tuple[int, int]:
    """Return the int or long at an offset, and the offset behind it.

    Raises IndexError if the message ends within it, EOFError if it has more than 64 bits.
    """
    byte = message[at]
    value = byte & 0x7F
    shift = 0
    while byte & 0x80:
        at += 1
        shift += 7
        if shift > 63:  # noqa: PLR2004 - Avro's longs have 64 bits
            raise EOFError("a number of more than 64 bits")
        byte = message[at]
        value |= (byte & 0x7F) << shift
    return (value >> 1) ^ -(value & 1), at + 1


class _Lengths(dict[int, bytes]):
    """Encoded lengths; those of short values are kept."""

    def __missing__(self, length: int) -> bytes:
        encoded = varint(length)
        if length < _KEPT_LENGTHS:
            self[length] = encoded
        return encoded


LENGTHS = _Lengths()
"""The encoding of each length or count."""


def string(value: str) -> bytes:
    """Encode a string; raises TypeError for any other value, and ValueError for a lone surrogate."""
    raw = str.encode(value)
    return LENGTHS[len(raw)] + raw


class _Names(dict[str, bytes]):
    """Encoded keys of maps; those that are not very long are kept."""

    def __missing__(self, name: str) -> bytes:
        encoded = string(name)
        if len(name) <= _LONGEST_NAME:
            if len(self) >= _KEPT_NAMES:
                self.clear()
            self[name] = encoded
        return encoded


_NAMES = _Names()


def map_block(number: int, entries: Iterable[tuple[str, str]]) -> bytes:
    """Encode so many entries of a map of strings as one block, without the end of the map; errors as of `string`.

    A map may have several blocks. Without entries there is none: a block of none is the end.
    """
    if not number:
        return b""
    pieces = [LENGTHS[number]]
    for name, value in entries:
        raw = str.encode(value)
        pieces += (_NAMES[name], LENGTHS[len(raw)], raw)
    return b"".join(pieces)
