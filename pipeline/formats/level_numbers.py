"""Levels that a logger writes as numbers: the scale follows from the field's name and from the line's other fields.

Sources: pino and bunyan (10 to 60), Python's logging (`levelno`), Monolog (100 to 600), RFC 5424 (0 to 7; GELF and
journald), OpenTelemetry (1 to 24), Google Cloud's LogSeverity (100 to 800), Logback (`level_value`).
"""

from collections.abc import Collection
from functools import lru_cache

SYSLOG_LEVELS = ("EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG")
"""The levels of syslog's severities, from 0 on."""
_OTEL = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
# Levels of these scales have these numbers only.
_EXACT: dict[str, dict[float, str]] = {
    "syslog": dict(enumerate(SYSLOG_LEVELS)),
    "otel": {number: _OTEL[(number - 1) // 4] for number in range(1, 25)},
    "monolog": {
        100: "DEBUG", 200: "INFO", 250: "NOTICE", 300: "WARNING", 400: "ERROR", 500: "CRITICAL", 550: "ALERT",
        600: "EMERGENCY",
    },
    "google": {
        100: "DEBUG", 200: "INFO", 300: "NOTICE", 400: "WARNING", 500: "ERROR", 600: "CRITICAL", 700: "ALERT",
        800: "EMERGENCY",
    },
    "logback": {5_000: "TRACE", 10_000: "DEBUG", 20_000: "INFO", 30_000: "WARN", 40_000: "ERROR", 50_000: "FATAL"},
}  # fmt: skip
# An application's own levels lie between these, and count as the level below.
_FROM: dict[str, dict[float, str]] = {
    "node": {10: "TRACE", 20: "DEBUG", 30: "INFO", 40: "WARN", 50: "ERROR", 60: "FATAL"},
    "python": {5: "TRACE", 10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"},
}
_TWO_DIGITS, _THREE_DIGITS = 100, 1000

# The names that have one scale only, as `names.canonical` writes them.
_BY_NAME = {
    "levelno": "python", "recordlevelno": "python", "levelvalue": "logback", "severitynumber": "otel",
    "priority": "syslog", "syslogseverity": "syslog", "syslogseveritycode": "syslog", "logsyslogseveritycode": "syslog",
}  # fmt: skip
# Fields that show which logger wrote a number under the name `level` or `severity`.
_GELF = ("version", "host")
_SYSLOG = frozenset(
    {
        "short_message", "full_message", "facility", "facility-name", "syslogtag", "programname", "pri",
        "syslog_facility",
    }
)  # fmt: skip
_PYTHON = frozenset({"lineno", "funcName", "pathname", "levelname", "processName", "asctime"})


def level_of_number(number: float, name: str, line: Collection[str]) -> str | None:
    """Return the level of a number under a canonical name in a line with these fields; None if its scale is unclear."""
    return _on_scale(number, _BY_NAME.get(name) or _scale(number, name, line))


def _scale(number: float, name: str, line: Collection[str]) -> str | None:
    """Return the scale of a number under a name that several loggers use."""
    if number < len(SYSLOG_LEVELS):
        gelf = all(field in line for field in _GELF)
        return "syslog" if gelf or not _SYSLOG.isdisjoint(line) else None
    if number < _TWO_DIGITS:
        return "node" if _PYTHON.isdisjoint(line) else "python"
    if number < _THREE_DIGITS:
        return "google" if name == "severity" else "monolog"
    return "logback"


@lru_cache(maxsize=1024)
def _on_scale(number: float, scale: str | None) -> str | None:
    if scale in _FROM:
        return max(((bound, level) for bound, level in _FROM[scale].items() if bound <= number), default=(0, None))[1]
    return _EXACT[scale].get(number) if scale else None
