"""Log levels: the words that loggers write, in one vocabulary. Pure.

Sources: syslog (RFC 5424), OpenTelemetry's severity texts, and the level names of java.util.logging in its languages,
Log4j, .NET, Python, Go's slog and zap, Monolog, PostgreSQL, MongoDB, winston and Serilog.
"""

import re
from functools import lru_cache

LEVELS = (
    "TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "WARNING",
    "ERROR", "SEVERE", "CRITICAL", "ALERT", "PANIC", "EMERGENCY", "FATAL",
)  # fmt: skip
"""The vocabulary, by severity. `WARN` and `WARNING` are one level: half of the loggers have the one, half the other."""
ERROR_LEVELS = frozenset(LEVELS[LEVELS.index("ERROR") :])
"""The levels that make a line errored."""
ORIGINAL_LEVEL = "level.original"
"""The field with a level's own name, if it differs from the level by more than colour, case and padding."""

_WORDS = {
    "TRACE": "trc trce t verbose vrb v finest finer silly",
    "DEBUG": "dbg dbug d d1 d2 d3 d4 d5 debug1 debug2 debug3 debug4 debug5 fine config",
    "INFO": "information informational inf i log infos información informations 情報 信息 資訊 정보",
    "NOTICE": "note n success",
    "WARN": "wrn w",
    "WARNING": "warnung avertissement advertencia avvertenza avviso aviso advertência varning 警告 경고",
    "ERROR": "err e eror fail failure fehler erreur erro errore 错误 錯誤 エラー",
    "SEVERE": "schwerwiegend grave gravement allvarlig 重大 严重 嚴重 심각",
    "CRITICAL": "crit c crt",
    "ALERT": "alrt a",
    "PANIC": "dpanic pnc p",
    "EMERGENCY": "emerg emrg",
    "FATAL": "ftl f",
}
_KNOWN = {word: level for level in LEVELS for word in (level, *_WORDS[level].upper().split())}
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_PADDING = " \t\r\n[](){}<>:|*."
# A longer text is no level, and would fill the cache.
_LONGEST = 64
# With a symbol, the name of its type, or its number: "Level.SEVERE", "ERROR(3)".
_DRESSED = re.compile(r"(?:[^\w\s]+\s+)?(?:[A-Z]+\.)*(\w+)(?:\(\d{1,5}\)?)?")
_OFFSET = re.compile(r"([A-Z]+)([+-])\d{1,4}")
# OpenTelemetry's numbers from 1 to 24; four have one name.
_NAMES = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
_SEVERITIES: dict[object, str] = {4 * four + one: name for four, name in enumerate(_NAMES) for one in (1, 2, 3, 4)}


def known_level(word: str) -> str | None:
    """Return the level that a word stands for, in any case, padded, coloured or with an offset (`ERROR+4`), or None."""
    return _known_level(word) if len(word) <= _LONGEST else None


@lru_cache(maxsize=4096)
def _known_level(word: str) -> str | None:
    found = _KNOWN.get(word.upper())
    if found is not None:
        return found
    plain = plain_word(word)
    found = _KNOWN.get(plain)
    if found is not None:
        return found
    offset = _OFFSET.fullmatch(plain)
    if offset is None:
        dressed = _DRESSED.fullmatch(plain)
        return _KNOWN.get(dressed[1]) if dressed else None
    if offset[2] == "-" and offset[1] == "DEBUG":  # the lowest word that slog has
        return "TRACE"
    return _KNOWN.get(offset[1])


def plain_word(word: str) -> str:
    """Return a word in upper case, without colours and padding."""
    return _COLOUR.sub("", word).strip(_PADDING).upper()


def shown_level(word: str) -> str:
    """Return the level that a word stands for, or an unknown word in upper case, without colours and padding."""
    return known_level(word) or plain_word(word)


def level_of_severity(name: str, number: object) -> tuple[str | None, str | None]:
    """Return the level of a severity of OpenTelemetry, and the name that it had, if that differs.

    The level is that of its text, or the name of its number (`INFO2` is INFO). `name` may be empty; a number outside of
    1 to 24 is none.
    """
    return (_level_of_severity if len(name) <= _LONGEST else _level_of_severity.__wrapped__)(name, number)


@lru_cache(maxsize=256)
def _level_of_severity(name: str, number: object) -> tuple[str | None, str | None]:
    numbered = _SEVERITIES.get(number)
    plain = plain_word(name)
    level = known_level(name) or (None if numbered else plain)
    if level:
        return level, None if plain == level else name
    return numbered, (name or None) if numbered else None
