"""Attributes of OTLP in JSON (opentelemetry-proto, common.proto): each value is an object with its type."""

import base64
import binascii
from collections.abc import Callable

from pipeline.formats.invalid_input import InvalidInput, shown
from tracelink.texts import free_name

# The parser of protobuf takes 47 levels, so that JSON gives the same as far as there is the same.
_DEEPEST = 64


def attributes(found: object, depth: int = _DEEPEST) -> dict[str, object]:
    """Return a list of key-value pairs as a map; a second value of a key gets an apostrophe. Raises InvalidInput."""
    if not found:
        return {}
    if not isinstance(found, list):
        raise InvalidInput("OTLP", f"attributes must be a list, not {shown(found)}")
    pairs: dict[str, object] = {}
    for one in found:
        if not isinstance(one, dict) or not isinstance(key := one.get("key") or "", str):
            raise InvalidInput("OTLP", f"an attribute is an object with a key, not {shown(one)}")
        pairs[free_name(pairs, key)] = any_value(one.get("value"), depth)
    return pairs


def any_value(found: object, depth: int = _DEEPEST) -> object:
    """Return an AnyValue as a plain value, bytes too; a value without a type as it is. Raises InvalidInput."""
    if not isinstance(found, dict) or len(found) != 1 or not depth:
        return None if found == {} else found
    ((kind, value),) = found.items()
    read = _READERS.get(kind)
    return found if read is None else read(value, depth - 1)


def _integer(value: object, _: int) -> object:
    try:
        return int(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _double(value: object, _: int) -> object:
    try:
        return float(value) if isinstance(value, str) or type(value) is int else value
    except (ValueError, OverflowError):
        return value


def _array(value: object, depth: int) -> object:
    values = value.get("values") if isinstance(value, dict) else value
    return [any_value(one, depth) for one in values] if isinstance(values, list) else []


def _pairs(value: object, depth: int) -> object:
    return attributes(value.get("values") if isinstance(value, dict) else value, depth)


def _bytes(value: object, _: int) -> object:
    decoded = decode_base64(value)
    return value if decoded is None else decoded


_KINDS: dict[str, Callable[[object, int], object]] = {
    "string": lambda value, _: value,
    "bool": lambda value, _: value,
    "int": _integer,
    "double": _double,
    "array": _array,
    "kvlist": _pairs,
    "bytes": _bytes,
}
# By their names in JSON, in the protocol, and without a suffix.
_READERS = {f"{kind}{suffix}": read for kind, read in _KINDS.items() for suffix in ("Value", "_value", "")}
# An index into a table that only profiles have.
_READERS |= dict.fromkeys(("stringValueStrindex", "string_value_strindex"), lambda _value, _depth: None)


def decode_base64(found: object) -> bytes | None:
    """Return the bytes of a base64 text, which may lack its padding; None if it is none."""
    if not isinstance(found, str):
        return None
    try:
        return base64.b64decode(found + "=" * (-len(found) % 4), altchars=None, validate=True)
    except (binascii.Error, ValueError):
        return None
