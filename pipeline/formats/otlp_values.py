"""Attributes of OTLP in JSON (opentelemetry-proto, common.proto): each value is an object with its type."""

import base64
import binascii
from collections.abc import Callable, Mapping

from pipeline.formats.field_names import as_map
from pipeline.formats.invalid_input import InvalidInput, shown
from pipeline.formats.otlp_common import Limit

# The parser of protobuf takes 47 levels, so that JSON gives the same as far as there is the same.
_DEEPEST = 64


class Values:
    """Reads values and attributes as plain Python values; counts them in `limit`."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        readers: dict[str, Callable[[object, int], object]] = {
            "string": _unchanged,
            "bool": _unchanged,
            "int": _integer,
            "double": _double,
            "bytes": _bytes,
            "array": self._array,
            "kvlist": self._pairs,
        }
        # By their names in JSON, in the protocol, and without a suffix.
        self._readers = {
            f"{kind}{suffix}": read for kind, read in readers.items() for suffix in ("Value", "_value", "")
        }
        # An index into a table that only profiles have.
        self._readers |= dict.fromkeys(("stringValueStrindex", "string_value_strindex"), _nothing)

    def attributes(self, found: object, depth: int = _DEEPEST) -> dict[str, object]:
        """Return key-value pairs as a map; a second value of a key gets an apostrophe. Raises InvalidInput."""
        if not found:
            return {}
        if not isinstance(found, list):
            raise InvalidInput("OTLP", f"attributes must be a list, not {shown(found)}")
        self._limit.parts(len(found))
        pairs: list[tuple[str, object]] = []
        for one in found:
            if not isinstance(one, dict) or not isinstance(key := one.get("key") or "", str):
                raise InvalidInput("OTLP", f"an attribute is an object with a key, not {shown(one)}")
            pairs.append((key, self.value(one.get("value"), depth)))
        return as_map(pairs)

    def value(self, found: object, depth: int = _DEEPEST) -> object:
        """Return an AnyValue as a plain value, bytes too; a value without a type as it is. Raises InvalidInput."""
        if not isinstance(found, dict) or len(found) != 1 or not depth:
            return None if found == {} else found
        ((kind, value),) = found.items()
        read = self._readers.get(kind)
        return found if read is None else read(value, depth - 1)

    def _array(self, value: object, depth: int) -> object:
        values = _inner(value)
        if not isinstance(values, list):
            return []
        self._limit.parts(len(values))
        return [self.value(one, depth) for one in values]

    def _pairs(self, value: object, depth: int) -> object:
        return self.attributes(_inner(value), depth)


def _inner(value: object) -> object:
    return value.get("values") if isinstance(value, Mapping) else value


def _unchanged(value: object, _: int) -> object:
    return value


def _nothing(_value: object, _depth: int) -> object:
    return None


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


def _bytes(value: object, _: int) -> object:
    decoded = decode_base64(value)
    return value if decoded is None else decoded


def decode_base64(found: object) -> bytes | None:
    """Return the bytes of a base64 text, which may lack its padding; None if it is none."""
    if not isinstance(found, str):
        return None
    try:
        return base64.b64decode(found + "=" * (-len(found) % 4), altchars=None, validate=True)
    except (binascii.Error, ValueError):
        return None
