"""Values as text for the page."""

from datetime import UTC, datetime
from math import inf
from urllib.parse import quote
from zlib import crc32

from sinks.base.times import moment

LONGEST = 2_000
"""Characters of a text in a row; the record's own page shows more of it."""
LONGEST_DETAIL = 64_000
_LONGEST_NAME = 200
_COLOURS = 12
_MS, _S = 1_000, 1_000_000
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def text(value: object, longest: int = LONGEST) -> str:
    """Return a text from outside, cut; characters that print nothing or turn the direction of writing are escaped."""
    given = str(value)
    kept = given[:longest]
    if not kept.isprintable():
        kept = "".join(char if char.isprintable() or char in "\n\t" else _visible(char) for char in kept)
    return kept if len(given) <= longest else f"{kept}… ({len(given):,} characters)"


def name(value: object) -> str:
    """Return a name from outside in one line, cut."""
    return text(" ".join(str(value)[: 4 * _LONGEST_NAME].split()), _LONGEST_NAME)


def in_address(value: object) -> str:
    """Return a text from outside as one piece of an address; half a character in it is a question mark."""
    given = str(value)
    if given.isascii() and given.isalnum():  # most ids
        return given
    return quote(given.encode("utf-8", "replace"), safe="")


def _visible(char: str) -> str:
    return " " if char.isspace() else char.encode("unicode_escape", "backslashreplace").decode()


def took(microseconds: float) -> str:
    """Return a duration with a fitting unit."""
    if microseconds < _MS:
        return f"{microseconds:.0f} µs"
    if microseconds < _S:
        return f"{microseconds / _MS:.{1 if microseconds < _S / 10 else 0}f} ms"
    return f"{microseconds / _S:,.2f} s"


def instant(microseconds: float) -> str:
    """Return a time in UTC, to the millisecond."""
    if not 0 < microseconds < inf:
        return "no time"
    at = moment(microseconds / 1_000)
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03} UTC"


def since(milliseconds: float) -> str:
    """Return a time in milliseconds in UTC, to the second."""
    return f"{moment(milliseconds):%Y-%m-%d %H:%M:%S} UTC"


def ago(milliseconds: float, now: float) -> str:
    """Return the age of a time."""
    seconds = int((now - milliseconds) // 1_000)
    for length, unit in _UNITS:
        if seconds >= length:
            return f"{seconds // length} {unit} ago"
    return "now"


def now_ms() -> float:
    """Return the current time in milliseconds."""
    return datetime.now(UTC).timestamp() * 1_000


def colour(service: str | None) -> int:
    """Return the number of a service's colour, the same in every trace."""
    return crc32((service or "").encode("utf-8", "replace")) % _COLOURS
