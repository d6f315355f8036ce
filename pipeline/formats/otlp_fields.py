"""Fields of objects of OTLP in JSON, in the spellings of several senders: names, ids, numbers and times."""

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeGuard

from pipeline.formats.invalid_input import InvalidInput, shown
from pipeline.formats.otlp_values import decode_base64
from pipeline.formats.span_values import FIRST_NANO
from tracelink.texts import text

Json = Mapping[str, Any]

BASE64_ID = "base64 id"
"""The note for an id that came as base64, as protobuf's own JSON has it."""
_HEX = frozenset("0123456789abcdef")
_LONGEST_NUMBER = 20
_BEYOND = 1 << 64
# Some senders leave zeros and empty texts out, others write them.
_NOTHING = (None, "", 0, "0")


def field(value: Json, name: str) -> Any:  # noqa: ANN401 - any JSON
    """Return a field by its name in JSON (`traceId`), or by its name in the protocol (`trace_id`)."""
    found = value.get(name)
    return value.get(_snake(name)) if found is None else found


@lru_cache(maxsize=64)
def _snake(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name)


def text_field(value: Json, name: str) -> str:
    """Return a field as text, empty if it is missing."""
    return text(field(value, name) or "")


def object_field(value: Json, name: str) -> dict[str, Any]:
    """Return a field that is an object, empty if it is missing; raises InvalidInput."""
    found = value.get(name)
    if found is not None and not isinstance(found, dict):
        raise InvalidInput("OTLP", f"{name} must be an object, not {shown(found)}")
    return found or {}


def dropped(value: Json, kind: str) -> object:
    """Return how many `Attributes`, `Events` or `Links` were dropped, None for none."""
    found = field(value, f"dropped{kind}Count")
    return None if found in _NOTHING else found


def nanoseconds(value: Json, name: str) -> object:
    """Return a time, a text of digits as a number; None if it is missing or zero."""
    found = field(value, name)
    if found in _NOTHING:
        return None
    return (int(found) or None) if isinstance(found, str) and is_number(found) else found


def is_nano(found: object) -> TypeGuard[int]:
    """Return True for a time that is in nanoseconds without doubt: between 2001 and 2554."""
    return type(found) is int and FIRST_NANO <= found < _BEYOND


def is_number(found: str) -> bool:
    """Return True for the digits of a number of 64 bits."""
    return found.isdecimal() and len(found) <= _LONGEST_NUMBER


def hex_id(value: Json, name: str, size: int, notes: Counter[str]) -> Any:  # noqa: ANN401 - any JSON
    """Return an id as lower-case hex, None if it is missing or empty; base64 of so many bytes is decoded and counted.

    Anything else is left as it is.
    """
    found = field(value, name)
    if not isinstance(found, str) or not found:
        return None if found == "" else found
    lowered = found.lower()
    if _HEX.issuperset(lowered):
        return lowered
    decoded = decode_base64(found)
    if decoded is None or len(decoded) != size:
        return found
    notes[BASE64_ID] += 1
    return decoded.hex()
