"""Makes a record encodable whose values do not fit its schema: each of them is replaced, and kept as text in a tag."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

from tracelink.model.codec import LOG_RECORD, SPAN, Schema
from tracelink.model.records import LogRecord, Span
from tracelink.texts import free_name, text

INVALID = "tracelink.invalid."
"""The tag or field `tracelink.invalid.NAME` has the value that did not fit the field NAME."""

_RANGES = {"int": 2**31, "long": 2**63}
_MICRO = 1_000_000


# A schema names a type where it is used again.
_NAMED = {
    kind["name"]: kind
    for field in SPAN.schema["fields"]
    if isinstance(field["type"], list) and isinstance(kind := field["type"][1], dict) and "name" in kind
}


class _Unfit(ValueError):
    """A value that does not fit, and has no substitute."""


def repaired_span(span: Span) -> Span:
    """Return a span that fits its schema; raises ValueError or KeyError if it has no ids."""
    notes: dict[str, str] = {}
    found = _record(SPAN.schema, span, "", notes)
    return cast("Span", found | {"tags": found["tags"] | notes})


def repaired_log(record: LogRecord) -> LogRecord:
    """Return a log record that fits its schema, with the present time if it has none; raises as `repaired_span`."""
    notes: dict[str, str] = {}
    given: dict[str, Any] = {**record}
    try:
        _number("long", given["timestamp"])
    except _Unfit:
        notes[f"{INVALID}timestamp"] = text(given["timestamp"])
        given["timestamp"] = int(time.time() * _MICRO)
    found = _record(LOG_RECORD.schema, given, "", notes)
    return cast("LogRecord", found | {"fields": found["fields"] | notes})


def _record(schema: Schema, value: object, path: str, notes: dict[str, str]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _Unfit
    found: dict[str, Any] = {}
    for field in schema["fields"]:
        name = field["name"]
        given = value[name] if "default" not in field else value.get(name, field["default"])
        found[name] = _value(field["type"], given, f"{path}{name}", notes)
    return found


def _value(kind: Any, value: object, path: str, notes: dict[str, str]) -> Any:  # noqa: ANN401 - a schema and any value
    """Return a value that fits; a value that is replaced goes into the notes, under its path."""
    if isinstance(kind, list):
        return _optional(kind, value, path, notes)
    if isinstance(kind, str) and kind not in _NAMED:
        return _plain(kind, value)
    kind = _NAMED.get(kind, kind) if isinstance(kind, str) else kind
    readers: dict[str, Callable[[], object]] = {
        "record": lambda: _record(kind, value, f"{path}.", notes),
        "array": lambda: _list(kind["items"], value, path, notes),
        "map": lambda: _map(value),
        "enum": lambda: _checked(value, value in kind["symbols"]),
        "fixed": lambda: _checked(value, isinstance(value, bytes) and len(value) == kind["size"]),
    }
    return readers[kind["type"]]()


def _optional(kinds: list[Any], value: object, path: str, notes: dict[str, str]) -> Any:  # noqa: ANN401 - as above
    """Return a value of one of two kinds, of which the first is null."""
    if value is None:
        return None
    try:
        return _value(kinds[1], value, path, notes)
    except _Unfit:
        notes[f"{INVALID}{path}"] = text(value)
        return None


def _checked(value: object, fits: bool) -> object:  # noqa: FBT001 - what was found about the value
    if not fits:
        raise _Unfit
    return value


def _plain(kind: str, value: object) -> object:
    if kind == "string":
        return text(value)
    return bool(value) if kind == "boolean" else _number(kind, value)


def _number(kind: str, value: object) -> int:
    if isinstance(value, float) and math.isfinite(value):
        value = int(value)
    if not isinstance(value, int) or not -_RANGES[kind] <= value < _RANGES[kind]:
        raise _Unfit
    return int(value)


def _map(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise _Unfit
    found: dict[str, str] = {}
    for name, one in value.items():
        # Names may differ only in what cannot be encoded.
        found[free_name(found, text(name))] = text(one)
    return found


def _list(kind: Any, value: object, path: str, notes: dict[str, str]) -> list[Any]:  # noqa: ANN401 - as in `_value`
    if not isinstance(value, (list, tuple)):
        raise _Unfit
    found = []
    for number, one in enumerate(value):
        try:
            found.append(_value(kind, one, f"{path}.{number}", notes))
        except (_Unfit, KeyError):
            notes[f"{INVALID}{path}.{number}"] = text(one)
    return found
