"""Values of spans as instrumentations write them, right and nearly right: times, durations, ports, kinds, ids, flags.

A value that has no plain meaning is none, and its text goes into `spare`, which becomes the tags `field.NAME`.
"""

from decimal import Decimal, InvalidOperation
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import orjson

from pipeline.formats.invalid_input import InvalidInput, kept, shown
from pipeline.formats.times import parse_time
from tracelink.model.records import Endpoint
from tracelink.texts import free_name

Spare = dict[str, str]
"""Texts that no field of a span can hold, by their names."""

FIRST_MICRO, LAST_MICRO = 10**14, 10**17
"""A whole number from the first to below the last is a time in microseconds, from 1973 to 5138."""
FIRST_NANO = 10**18
"""A number from here on is a time in nanoseconds, after September 2001."""
# Below this a number is no time of this age in any unit, and stays what Zipkin takes it for: microseconds.
_NO_UNIT = 10**8
_MAX_LONG = 2**63 - 1
MAX_PORT = 65535
_ID_CHARS = 16
HEX = frozenset("0123456789abcdef")
_KINDS = frozenset({"CLIENT", "SERVER", "PRODUCER", "CONSUMER"})
_KIND_PREFIXES = ("SPAN_KIND_", "SPANKIND.")
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def keep(spare: Spare, name: str, value: object) -> None:
    """Put a value aside under a name that is still free."""
    spare[free_name(spare, name)] = kept(value)


def time(found: object, name: str, spare: Spare) -> int | None:
    """Return a time in microseconds since the epoch; None if it is absent, zero, negative or no time.

    Its unit goes by its magnitude, as for log lines. Fractions of a microsecond are dropped.
    """
    if not found:
        return None
    moment = instant(found)
    if moment is None or moment < 0:
        keep(spare, name, found)
        return None
    return moment or None


def instant(found: object) -> int | None:
    """Return a time in microseconds since the epoch, which may be zero or negative; None if it is no time."""
    number = _number(found)
    if number is not None and number < _NO_UNIT:
        return int(number) if number >= -_MAX_LONG else None
    try:
        return parse_time(found)
    except InvalidInput:
        return None


def duration(found: object, name: str, spare: Spare) -> int | None:
    """Return a duration in microseconds; None if it is absent, zero, negative or no number.

    Less than a microsecond is one, because Zipkin takes 0 for none.
    """
    if not found:
        return None
    number = _number(found)
    if number == 0:
        return None
    if number is None or not 0 < number <= _MAX_LONG:
        keep(spare, name, found)
        return None
    return int(number) or 1


def port(found: object, name: str, spare: Spare) -> int | None:
    """Return a port; None if it is absent, zero or no port."""
    if not found:
        return None
    number = _number(found)
    if number == 0:
        return None
    if number is None or not 0 < number <= MAX_PORT or number != int(number):
        keep(spare, name, found)
        return None
    return int(number)


def kind(found: object, spare: Spare) -> str | None:
    """Return one of Zipkin's four kinds, which may be in any case, or None."""
    if isinstance(found, str):
        word = found.strip().upper()
        for prefix in _KIND_PREFIXES:
            word = word.removeprefix(prefix)
        if word in _KINDS:
            return word
    if found not in (None, ""):
        keep(spare, "kind", found)
    return None


def flag(found: object, name: str, spare: Spare) -> bool | None:
    """Return true or false, which may be a word in any case or a number, or None."""
    if found is None or isinstance(found, bool):
        return found
    value = _FLAGS.get(str(found).strip().lower()) if isinstance(found, str | int) else None
    if value is None and found != "":
        keep(spare, name, found)
    return value


def address(found: object, name: str, endpoint: Endpoint, spare: Spare) -> None:
    """Set an endpoint's IPv4 or IPv6 address, whichever the text is; as Zipkin does, in either field."""
    text = found.strip() if isinstance(found, str) else ""
    try:
        if endpoint.setdefault("ipv4", ipv4 := str(IPv4Address(text))) != ipv4:
            keep(spare, name, found)
    except AddressValueError:
        try:
            if endpoint.setdefault("ipv6", ipv6 := str(IPv6Address(text))) != ipv6:
                keep(spare, name, found)
        except AddressValueError:
            if found not in (None, ""):
                keep(spare, name, found)


def id_text(found: object, name: str) -> str | None:
    """Return an id as text; a number has the digits of a hex id, as in Zipkin. Raises InvalidInput."""
    if found is None or isinstance(found, str):
        return found
    if type(found) is int and 0 <= found <= _MAX_LONG:
        return str(found)
    raise InvalidInput(name, f"{name} must be a string, not {shown(found)}")


def span_id(found: object, name: str) -> str | None:
    """Return a span id with 16 lower-case characters, None if it is absent or zero; raises InvalidInput."""
    text = id_text(found, name)
    if text is None:
        return None
    lowered = text.lower()
    if not 1 <= len(lowered) <= _ID_CHARS or not set(lowered) <= HEX:
        raise InvalidInput(name, f"{name} must have 1 to {_ID_CHARS} hex characters, not {shown(found)}")
    return None if set(lowered) == {"0"} else lowered.zfill(_ID_CHARS)


def event_text(name: str, attributes: dict[str, object]) -> str:
    """Return an event as the text of an annotation, in the form that OpenTelemetry publishes for Zipkin."""
    return f"{orjson.dumps(name).decode()}: {kept(attributes)}" if attributes else name


def _number(found: object) -> Decimal | None:
    """Return a finite number, which may be a text; None for anything else."""
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        return None
    try:
        number = Decimal(found if isinstance(found, int) else str(found).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
