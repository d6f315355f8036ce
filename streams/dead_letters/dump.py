"""The surroundings of a byte as a hexdump, with a mark under it. Pure."""

from collections.abc import Container

WIDTH = 16
"""Bytes in a line."""
_HIDDEN = "··"


def dump(data: bytes, at: int, *, around: int = 2, hidden: Container[int] = ()) -> list[str]:
    """Return the lines around a byte, `around` before and behind its own, and one with a caret under it.

    `at` may be the end of the data: the caret then stands where a byte is missing. Bytes in `hidden` are not shown.
    """
    row = at // WIDTH
    lines: list[str] = []
    for number in range(max(0, row - around), row + around + 1):
        start = number * WIDTH
        if start < len(data):
            lines.append(_line(data, start, hidden))
        elif number == row:
            lines.append(f"{start:08x}")
        if number == row:
            lines.append(" " * (10 + 3 * (at % WIDTH)) + "^^")
    return lines


def _line(data: bytes, start: int, hidden: Container[int]) -> str:
    places = range(start, min(start + WIDTH, len(data)))
    codes = " ".join(_HIDDEN if place in hidden else f"{data[place]:02x}" for place in places)
    chars = "".join("·" if place in hidden else _char(data[place]) for place in places)
    return f"{start:08x}  {codes:<{3 * WIDTH - 1}}  |{chars}|"


def _char(byte: int) -> str:
    return chr(byte) if 0x20 <= byte < 0x7F else "."  # noqa: PLR2004 - what ASCII prints
