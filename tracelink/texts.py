"""Any value as text, for tags and fields: no value raises, and none is lost."""

from collections import deque
from collections.abc import Container, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from typing import Any

import orjson

_BYTES = (bytes, bytearray, memoryview)
# Not any iterable: an iterator would lose its items, a query would be sent, a `range` may fill the memory.
_LISTS = (list, tuple, AbstractSet, deque)
# A value that is deeper in a structure is printed with `str`.
_DEEPEST = 50
# Python refuses to print integers of more digits than 4300 (`sys.set_int_max_str_digits`): they are printed in hex.
_LARGEST = 10**4000
_SMALL = 2**63
# The common types of which JSON is the text: all others take longer to find out.
_JSON = frozenset({bool, dict, float, list, tuple, type(None)})
# So many apostrophes behind a name are readable; more would make the names of a long input longer than the input.
MOST_APOSTROPHES = 8
_WORDS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}  # as OpenTelemetry spells them


def free_name(taken: Container[str], name: str) -> str:
    """Return a name that is not taken: with as many apostrophes behind it as that needs, and a number after eight.

    It takes few steps even if thousands of names are taken, as a sender may arrange it.
    """
    for _ in range(MOST_APOSTROPHES):
        if name not in taken:
            return name
        name += "'"
    return name if name not in taken else _numbered(taken, name)


def _numbered(taken: Container[str], name: str) -> str:
    """Return a name with a number behind it that is free, while the number before it is taken."""
    free = 2
    while f"{name}{free}" in taken:
        free *= 2
    last = free // 2
    while free - last > 1:
        middle = (free + last) // 2
        if f"{name}{middle}" in taken:
            last = middle
        else:
            free = middle
    return f"{name}{free}"


def text(value: object) -> str:
    """Return a value as text that UTF-8 can encode.

    Strings are unchanged, but for lone surrogates. Bytes are their text if they are printable UTF-8, else hex. Numbers,
    mappings, lists, sets and dataclasses are JSON. Exceptions are printed with `repr`, and other objects with `str`.
    """
    if type(value) is str:
        return value if value.isascii() else value.encode(errors="replace").decode()
    if type(value) is int and -_SMALL < value < _SMALL:
        return str(value)
    if type(value) in _JSON or isinstance(value, (int, float)):
        return json(value).strip('"')  # of NaN, or a number in hex
    if isinstance(value, str):
        return text(str.__str__(value))  # a subclass may print itself in another way, or fail to
    if isinstance(value, _BYTES):
        return _bytes(value)
    return json(value) if _is_structure(value) else _printed(value)


def json(value: object) -> str:
    """Return a value as JSON; all that JSON does not have is a string, as `text` prints it.

    Integers keep all their digits. NaN and infinities are words. A structure that holds itself has `<cycle>` there.
    """
    try:
        shown = orjson.dumps(value, default=_default, option=orjson.OPT_NON_STR_KEYS).decode()
    except Exception:  # noqa: BLE001 - large integers, surrogates, cycles, and errors of an object's own code
        return _json(value, ())
    # It writes NaN as null.
    return _json(value, ()) if "null" in shown else shown


def _default(value: object) -> object:
    """Convert a value that orjson does not know."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, float):
        return float(value)
    return list(value) if isinstance(value, _LISTS) else text(value)


def _is_structure(value: object) -> bool:
    return isinstance(value, (Mapping, *_LISTS)) or (is_dataclass(value) and not isinstance(value, type))


def _json(value: object, above: tuple[int, ...]) -> str:
    """Return a value as JSON, in Python; `above` has the ids of the values that it is in."""
    if isinstance(value, (str, *_BYTES)):
        return _quoted(text(value))
    if isinstance(value, (int, float)):
        return _json_number(value)
    if id(value) in above:
        return _quoted("<cycle>")
    try:
        return _structure(value, (*above, id(value))) if len(above) < _DEEPEST else _quoted(_printed(value))
    except Exception:  # noqa: BLE001 - as in `json`
        return _quoted(_printed(value))


def _json_number(value: float) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value) if -_LARGEST < value < _LARGEST else _quoted(hex(value))
    shown = float.__repr__(value)
    return _quoted(_WORDS[shown]) if shown in _WORDS else shown


def _structure(value: Any, above: tuple[int, ...]) -> str:  # noqa: ANN401 - any value
    if isinstance(value, _LISTS):
        return f"[{','.join([_json(one, above) for one in value])}]"
    if not _is_structure(value):
        return orjson.dumps(value).decode()  # null, a date, an enum
    pairs = value if isinstance(value, Mapping) else {field.name: getattr(value, field.name) for field in fields(value)}
    return f"{{{','.join([f'{_quoted(text(name))}:{_json(one, above)}' for name, one in pairs.items()])}}}"


def _quoted(shown: str) -> str:
    return orjson.dumps(shown).decode()


def _bytes(value: bytes | bytearray | memoryview) -> str:
    try:
        raw = bytes(value)
    except ValueError:  # a memoryview that was released
        return _printed(value)
    try:
        shown = raw.decode()
    except UnicodeDecodeError:
        return raw.hex()
    return shown if shown.translate({ord(space): " " for space in "\t\r\n"}).isprintable() else raw.hex()


def _printed(value: object) -> str:
    """Return an object as it prints itself; if it fails to, its type and the error."""
    try:
        # `str` of an exception leaves its type out.
        shown = repr(value) if isinstance(value, BaseException) else str(value)
        return text(str.__str__(shown))
    except Exception as error:  # noqa: BLE001 - an object's own code may raise anything
        return f"<{type(value).__qualname__}: cannot be printed ({type(error).__name__})>"
