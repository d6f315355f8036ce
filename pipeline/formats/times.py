"""Parsing of the time of a log line, in many forms, to microseconds since the epoch."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from pipeline.formats.invalid_input import InvalidInput, shown

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MAX_LONG = 2**63 - 1
# A number below each bound is in that unit: 10^11 is the year 5138 in seconds, and 1973 in milliseconds.
_UNITS = (
    (Decimal(10) ** 11, Decimal(10) ** 6),
    (Decimal(10) ** 14, Decimal(10) ** 3),
    (Decimal(10) ** 17, Decimal(1)),
    (Decimal(10) ** 20, Decimal(10) ** -3),
)
# Nanoseconds before September 2001 are ticks of .NET or Windows, which count from other years.
_TICKS = (Decimal(10) ** 17, Decimal(10) ** 18)
# Numbers of seconds before March 1973 are durations, counters and years.
_LEAST_SECONDS = 10**8
_LEAST_MILLIS, _LEAST_MICROS = 10**11, 10**14
_LONGEST = 80
_LEAST_ISO = 15
_DATE_DIGITS, _DATE_CHARS = 8, 10
_MAX_MONTH = 12
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_MONTH_NUMBERS = {name[:length]: number for number, name in enumerate(_MONTHS, 1) for length in (3, 9)}

# A duration or a count: no time, and no attempt to write one.
_DURATION = re.compile(r"\s*[+-]?\d+(?:\.\d+)?\s*(?:ns|us|µs|μs|ms|s|m|h|sec|seconds|msec|millis)?\s*")
_CLOCK = r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,: ](\d{1,9}))?)?\s*([AaPp][Mm])?"
_NAMED_ZONE = r"(?:\[([A-Za-z_+\-0-9/]+)\]|\s+([A-Z][A-Za-z_]+/[A-Za-z_/]+))?"
_ZONE = r"\s*\(?(Z|z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2})?\)?" + _NAMED_ZONE
_WEEKDAY = r"(?:[A-Z][a-z]{2},? +)?"
_YEAR_FIRST = re.compile(rf"(\d{{4}})([-/.])(\d{{1,2}})\2(\d{{1,2}})[Tt ]\s*{_CLOCK}{_ZONE}")
_DAY_FIRST = re.compile(rf"{_WEEKDAY}(\d{{1,2}})[-/ ]([A-Za-z]{{3,9}})[-/ ,]+(\d{{4}})[: ,T]+{_CLOCK}{_ZONE}")
_MONTH_FIRST = re.compile(rf"{_WEEKDAY}([A-Za-z]{{3,9}}) +(\d{{1,2}}),? +(\d{{4}}),? +{_CLOCK}{_ZONE}")
_CTIME = re.compile(rf"{_WEEKDAY}([A-Za-z]{{3}}) +(\d{{1,2}}) +{_CLOCK}(?: +(UTC|GMT|Z|[+-]\d{{4}}))? +(\d{{4}})")
_NUMBERS = re.compile(rf"(\d{{1,2}})([/.-])(\d{{1,2}})\2(\d{{4}}),? +{_CLOCK}{_ZONE}")
_DIGITS = re.compile(r"((?:19|20)\d{2})(\d{2})(\d{2})[ T_-]?(\d{2}):?(\d{2}):?(\d{2})[.,]?(\d{1,9})?")
# Go prints the zone's name behind its offset, and a monotonic clock behind the time.
_MONOTONIC = re.compile(r" m=[+-][\d.]+$")
_NAME_OF_OFFSET = re.compile(r"(?<=[+-]\d{4}) [A-Z]{3,5}$")
_COMMA = re.compile(r"(\d{9,}),(\d+)")
_JSON_NET = re.compile(r"\\?/Date\((-?\d+)(?:[+-]\d{4})?\)\\?/")


def parse_time(value: object) -> int:
    """Return microseconds since the epoch; raises InvalidInput.

    A number, or a string of digits, is in seconds, milliseconds, microseconds or nanoseconds, by its magnitude. An
    object is one of the pairs or wrappers of `_from_object`. Any other string is RFC 3339 or one of its relatives: with
    a comma, a space, a zone's name, slashes, a month's name, an access log's form, with any number of digits after the
    seconds; those below a microsecond are dropped. A time without a zone is UTC. A date without a year, one whose day
    and month could be exchanged, and a zone's ambiguous abbreviation are not guessed.
    """
    if isinstance(value, str):
        return _checked(_from_text(value), value)
    if isinstance(value, Mapping):
        return _checked(_from_object(value), value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput("time", f"{shown(value)} is not a time")
    if isinstance(value, int) and _LEAST_MILLIS <= value < _LEAST_MICROS:
        return value * 1000
    return _checked(_from_number(Decimal(str(value))), value)


def may_be_time(value: object) -> bool:
    """Return False for a value that is no attempt to write a time: a duration, a small number, an empty text."""
    if isinstance(value, str):
        return bool(value.strip()) and _DURATION.fullmatch(value) is None
    return isinstance(value, Mapping)


def _from_text(text: str) -> int:
    # The form of nearly all lines; fromisoformat takes others, too, that are no times, as 2026-W47.
    if len(text) > _LEAST_ISO and text[4] == "-" and text[10] in "T ":
        try:
            return _since_epoch(datetime.fromisoformat(text))
        except ValueError:  # one of its relatives
            pass
    text = text.strip()
    if text[:1] == "[":
        text = text[1:].removesuffix("]")
    text = _NAME_OF_OFFSET.sub("", _MONOTONIC.sub("", text))
    if not text or len(text) > _LONGEST:
        return -1
    if (number := _number(text)) is not None:
        return number
    if found := _JSON_NET.fullmatch(text):
        return int(found[1]) * 1000
    try:
        return _by_form(text)
    except ValueError:
        return -1


def _number(text: str) -> int | None:
    """Return the time of a text that is a number, -1 if that is none, or None if the text is no number."""
    try:
        number = Decimal(_COMMA.sub(r"\1.\2", text) if "," in text else text)
    except InvalidOperation:
        return None
    if found := _DIGITS.fullmatch(text):
        with suppress(ValueError):  # such digits may be another number, as 1945033017250000 µs in 2031
            if (time := _digits(list(found.groups()))) >= 0:
                return time
    if len(text) == _DATE_DIGITS and text.isdecimal():
        return _since_epoch(datetime.fromisoformat(text)) if is_date(text) else -1
    return _from_number(number)


def is_date(text: str) -> bool:
    """Return True for a date of ISO 8601 without a time of day."""
    if len(text) not in (_DATE_DIGITS, _DATE_CHARS):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _by_form(text: str) -> int:
    """Return the time of a text; raises ValueError."""
    for form, build in _FORMS:
        if found := form.fullmatch(text):
            return build(list(found.groups()))
    if "W" in text or len(text) < _DATE_CHARS:
        raise ValueError(text)
    return _since_epoch(datetime.fromisoformat(text))


def _year_first(found: list[str | None]) -> int:
    year, _, month, day, *rest = found
    return _built(year, month, day, rest)


def _day_first(found: list[str | None]) -> int:
    day, month, year, *rest = found
    return _built(year, month, day, rest)


def _month_first(found: list[str | None]) -> int:
    month, day, year, *rest = found
    return _built(year, month, day, rest)


def _year_last(found: list[str | None]) -> int:
    month, day, *clock, zone, year = found
    return _built(year, month, day, [*clock, zone, None, None])


def _numbers(found: list[str | None]) -> int:
    """05/06 is a day in May in one country and in June in another; with dots the day is first everywhere."""
    first, separator, second, year, *rest = found
    if separator == "." or int(first or 0) > _MAX_MONTH:
        return _built(year, second, first, rest)
    if int(second or 0) > _MAX_MONTH or first == second:
        return _built(year, first, second, rest)
    raise ValueError(first)


def _digits(found: list[str | None]) -> int:
    year, month, day, *clock, fraction = found
    return _built(year, month, day, [*clock, fraction, None, None, None, None])


_FORMS: tuple[tuple[re.Pattern[str], Callable[[list[str | None]], int]], ...] = (
    (_YEAR_FIRST, _year_first),
    (_DAY_FIRST, _day_first),
    (_MONTH_FIRST, _month_first),
    (_CTIME, _year_last),
    (_NUMBERS, _numbers),
    (_DIGITS, _digits),
)


def _built(year: str | None, month: str | None, day: str | None, rest: list[str | None]) -> int:
    """Return a time made of its parts: `rest` is hour, minute, second, fraction, am or pm, offset and zone names."""
    hour_text, minute, second, fraction, half, offset, bracketed, name = rest
    hour = int(hour_text or 0)
    if half:
        if not 1 <= hour <= _MAX_MONTH:
            raise ValueError(hour)
        hour = hour % 12 + (12 if half.lower() == "pm" else 0)
    zone: timezone | ZoneInfo = UTC
    if offset and offset[0] in "+-":
        digits = offset[1:].replace(":", "").ljust(4, "0")
        zone = timezone(timedelta(hours=int(digits[:2]), minutes=int(digits[2:])) * (-1 if offset[0] == "-" else 1))
    elif not offset and (zone_name := bracketed or name):
        try:
            zone = ZoneInfo(zone_name)
        except (KeyError, OSError):  # ZoneInfoNotFoundError is a KeyError; a directory's name gives an OSError
            raise ValueError(zone_name) from None
    midnight = datetime(int(year or 0), _month(month or ""), int(day or 0), tzinfo=zone)
    return _since_epoch(
        midnight.replace(hour=hour, minute=int(minute or 0), second=int(second or 0), microsecond=_micros(fraction))
    )


def _month(text: str) -> int:
    if text.isdecimal():
        return int(text)
    found = _MONTH_NUMBERS.get(text.lower())
    if found is None:
        raise ValueError(text)
    return found


def _micros(fraction: str | None) -> int:
    return int(fraction[:6].ljust(6, "0")) if fraction else 0


def _from_object(value: Mapping[str, object]) -> int:
    """Return the time of an object: seconds and nanoseconds, MongoDB's `$date`, PHP's DateTime, loguru's, or -1."""
    for seconds, nanos in (("seconds", "nanos"), ("epochSecond", "nanoOfSecond"), ("sec", "nsec"), ("secs", "nsecs")):
        whole, rest = value.get(seconds), value.get(nanos, 0)
        if isinstance(whole, int | str) and isinstance(rest, int | str):
            try:
                return int(whole) * 1_000_000 + int(rest) // 1000
            except ValueError:
                return -1
    for name in ("$date", "$numberLong", "timestamp", "value", "epochMillis"):
        if (inner := value.get(name)) is not None:
            return parse_time(inner)
    if isinstance(day := value.get("date"), str):
        zone = value.get("timezone")
        if isinstance(zone, str) and zone not in ("UTC", "Z"):
            separator = "" if zone[:1] in "+-" else " "
            return parse_time(f"{day}{separator}{zone}")
        return parse_time(day)
    return -1


def _since_epoch(moment: datetime) -> int:
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND


def _from_number(number: Decimal) -> int:
    if not number.is_finite() or number < _LEAST_SECONDS or _TICKS[0] <= number < _TICKS[1]:
        return -1
    for bound, factor in _UNITS:
        if number < bound:
            return int(number * factor)
    return -1


def _checked(time: int, value: object) -> int:
    if not 0 <= time <= _MAX_LONG:
        raise InvalidInput("time", f"{shown(value)} is not a time")
    return time
