"""The level of a log line: the word of its number, and the name that the service gave it."""

import logging
from functools import lru_cache
from typing import NamedTuple

from opentelemetry._logs import SeverityNumber

from tracelink.model.levels import known_level, plain_word
from tracelink.texts import text

ORIGINAL_LEVEL = "level.original"
"""The field with a level's own name, if it differs from the level by more than colour, case and padding."""

_NUMBERS = (
    (logging.CRITICAL, SeverityNumber.FATAL, "CRITICAL"),
    (logging.ERROR, SeverityNumber.ERROR, "ERROR"),
    (logging.WARNING, SeverityNumber.WARN, "WARNING"),
    (logging.INFO, SeverityNumber.INFO, "INFO"),
    (logging.DEBUG, SeverityNumber.DEBUG, "DEBUG"),
)


class Level(NamedTuple):
    """A level as a word, the name that it had, if that differs, and its number."""

    word: str | None
    original: str | None = None
    number: SeverityNumber | None = None


@lru_cache(maxsize=256)
def level_of_logging(number: object, name: object) -> Level:
    """Return the level of a line of `logging` by its number; one between two levels has the lower one's word."""
    shown = text(name) if name else None
    if not isinstance(number, int):  # a record that was made by hand
        return Level(plain_word(shown) or None if shown else None, None)
    found = next(((severity, word) for least, severity, word in _NUMBERS if number >= least), None)
    severity, word = found or (SeverityNumber.TRACE, "TRACE")
    return Level(word, shown if shown and plain_word(shown) != word else None, severity)


@lru_cache(maxsize=256)
def level_of_severity(name: object, number: object) -> Level:
    """Return the level of a severity: that of its text, or the name of its number (`INFO2` is INFO).

    The number also counts if the text is no word for a severity.
    """
    severity = _severity(number)
    shown = text(name) if name else ""
    plain = plain_word(shown)
    level = known_level(shown) or (None if severity else plain)
    if level:
        return Level(level, None if plain == level else shown, severity)
    if severity is None:
        return Level(None)
    return Level(severity.name.rstrip("234"), shown or None, severity)


def _severity(number: object) -> SeverityNumber | None:
    try:
        found = SeverityNumber(number)
    except ValueError:
        return None
    return None if found is SeverityNumber.UNSPECIFIED else found
