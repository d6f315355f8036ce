"""Attributes of OTLP in JSON (opentelemetry-proto, common.proto): each value is an object with its type."""

import base64
import binascii
from collections.abc import Callable, Mapping
from functools import lru_cache

from pipeline.formats.invalid_input import InvalidInput, shown
from tracelink.texts import free_name

Json = Mapping[str, object]


def field(value: Json, name: str) -> object:
    """Return a field by its name in JSON (`traceId`), or by its name in the protocol (`trace_id`)."""
    found = value.get(name)
    return value.get(_snake(name)) if found is None else found


@lru_cache(maxsize=64)
def _snake(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name)


def attributes(found: object, depth: int = 32) -> dict[str, object]:
    """Return a list of key-value pairs as a map; a second value of a key gets an apostrophe. Raises InvalidInput.

    A pair whose value is null or missing is left out.
    """
    if not found:
        return {}
    if not isinstance(found, list):
        raise InvalidInput("OTLP", f"attributes must be a list, not {shown(found)}")
    pairs: dict[str, object] = {}
    for one in found:
        if not isinstance(one, dict) or not isinstance(one.get("key"), str):
            raise InvalidInput("OTLP", f"an attribute must have a key, not {shown(one)}")
        key, value = one["key"], any_value(one.get("value"), depth)
        if value is None:
            continue
        pairs[free_name(pairs, key)] = value
    return pairs


def any_value(found: object, depth: int = 32) -> object:
    """Return an AnyValue as a plain value: bytes as hex; a value without a type as it is. Raises InvalidInput."""
    if not isinstance(found, dict) or len(found) != 1 or not depth:
        return None if found == {} else found
    ((kind, value),) = found.items()
    read = _READERS.get(kind.removesuffix("Value").removesuffix("_value"))
    return found if read is None else read(value, depth - 1)


def _integer(value: object, _: int) -> object:
    try:
        return int(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _double(value: object, _: int) -> object:
    return float(value) if type(value) is int else value


def _array(value: object, depth: int) -> object:
    values = value.get("values") if isinstance(value, dict) else value
    return [any_value(one, depth) for one in values] if isinstance(values, list) else []


def _pairs(value: object, depth: int) -> object:
    return attributes(value.get("values") if isinstance(value, dict) else value, depth)


def _bytes(value: object, _: int) -> object:
    decoded = decode_base64(value)
    return value if decoded is None else decoded.hex()


_READERS: dict[str, Callable[[object, int], object]] = {
    "string": lambda value, _: value,
    "bool": lambda value, _: value,
    "int": _integer,
    "double": _double,
    "array": _array,
    "kvlist": _pairs,
    "bytes": _bytes,
}


def decode_base64(found: object) -> bytes | None:
    """Return the bytes of a base64 text, which may lack its padding; None if it is none."""
    if not isinstance(found, str):
        return None
    try:
        return base64.b64decode(found + "=" * (-len(found) % 4), altchars=None, validate=True)
    except (binascii.Error, ValueError):
        return None
