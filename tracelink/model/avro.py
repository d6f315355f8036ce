"""Numbers and texts in Avro's binary encoding (https://avro.apache.org/docs/1.12.0/specification/#binary-encoding)."""

_KEPT_LENGTHS = 4096


def varint(value: int) -> bytes:
    """Encode an int or long as Avro does: zigzag, seven bits per byte, lowest first."""
    value = (value << 1) ^ (value >> 63)
    out = []
    while value > 0x7F:  # noqa: PLR2004 - more than seven bits are left
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


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
