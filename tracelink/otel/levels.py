"""The level of a line of `logging`: the word of its number, and the name that the service gave it."""

import logging
from functools import lru_cache
from typing import NamedTuple

from opentelemetry._logs import SeverityNumber

from tracelink.model.levels import plain_word
from tracelink.texts import text

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
