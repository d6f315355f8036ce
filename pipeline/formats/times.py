"""Parsing of the time of a log line, in many forms, to microseconds since the epoch."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

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


def parse_time(value: object) -> int:
    """Return microseconds since the epoch; raises InvalidInput.

    A number, or a string of digits, is in seconds, milliseconds, microseconds or nanoseconds, by its magnitude.
    Any other string is RFC 3339 or another form of ISO 8601, with any number of digits after the seconds; those below
    a microsecond are dropped. A time without a zone is UTC.
    """
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip()) if not _is_number(value) else None
        except ValueError:
            raise InvalidInput("time", f"{shown(value)} is not a time") from None
        if moment is not None:
            since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
            return _checked(since // _MICROSECOND, value)
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput("time", f"{shown(value)} is not a time")
    return _checked(_from_number(Decimal(str(value).strip())), value)


def _is_number(text: str) -> bool:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return False
    # Eight digits are a date in ISO 8601's basic form.
    return number.is_finite() and len(text.strip()) != len("20230129")


def _from_number(number: Decimal) -> int:
    if not number.is_finite() or number < 0:
        return -1
    for bound, factor in _UNITS:
        if number < bound:
            return int(number * factor)
    return _MAX_LONG + 1


def _checked(time: int, value: object) -> int:
    if not 0 <= time <= _MAX_LONG:
        raise InvalidInput("time", f"{shown(value)} is out of range")
    return time
