"""The bytes of requests: JSON that is nearly right, and strings that are not UTF-8; each repair is noted."""

import re
from collections import Counter
from typing import Any

import orjson

from pipeline.formats.json_values import load_json

INVALID_UTF8 = "invalid UTF-8"
"""The note of a string that is not UTF-8."""
_LENIENT = "lenient JSON"
"""The note of JSON that only a lenient decoder takes: lone surrogates, NaN, control characters, a byte order mark."""
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"')


def request_json(body: bytes, notes: Counter[str]) -> Any:  # noqa: ANN401 - any JSON value
    """Decode JSON, also what is nearly right; raises InvalidInput."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        value = load_json(body)
    broken = sum(not _is_utf8(text) for text in _STRING.findall(body))
    notes[INVALID_UTF8 if broken else _LENIENT] = broken or 1
    return value


def utf8(found: bytes, notes: Counter[str]) -> bytes:
    """Return a string with U+FFFD for what is not UTF-8."""
    if _is_utf8(found):
        return found
    notes[INVALID_UTF8] += 1
    return found.decode(errors="replace").encode()


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
