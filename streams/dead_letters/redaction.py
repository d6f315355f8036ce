"""Redacts secrets in the values and bytes of a dead letter. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from pipeline.analysis.secret_patterns import MARK
from streams.dead_letters.diagnosis import Diagnosis
from streams.dead_letters.walk import Leaf, Path

_TEXT = re.compile(rb"[\x20-\x7e]{4,}")


class Redacts(Protocol):
    """The methods of a redactor."""

    def redact(self, text: str) -> str: ...

    def redact_map(self, texts: dict[str, str]) -> dict[str, str]: ...


class AsItIs:
    """Redacts nothing."""

    def redact(self, text: str) -> str:
        """Return the text."""
        return text

    def redact_map(self, texts: dict[str, str]) -> dict[str, str]:
        """Return the texts."""
        return texts


def path_of(path: Path, redactor: Redacts) -> str:
    """Return the path of a value as text: `spans[1].tags.user`."""
    found = ""
    for step in path:
        if isinstance(step, int):
            found += f"[{step}]"
        else:
            found += ("." if found else "") + redactor.redact(step)
    return found


def value_of(leaf: Leaf, redactor: Redacts) -> object:
    """Return a value for JSON: bytes in hex, texts redacted."""
    if isinstance(leaf.value, bytes):
        return MARK if _is_secret(leaf.value.decode(errors="replace"), leaf.path, redactor) else leaf.value.hex()
    if isinstance(leaf.value, str):
        return _redacted(leaf.value, leaf.path, redactor)
    return leaf.value


def key_of(key: bytes | None, redactor: Redacts) -> dict[str, str | None]:
    """Return a key for JSON: as text, or in hex if it is not UTF-8."""
    if key is None:
        return {"key": None}
    try:
        return {"key": redactor.redact(key.decode())}
    except UnicodeDecodeError:
        return {"keyHex": key.hex()}


def headers_of(headers: Mapping[str, str], redactor: Redacts) -> dict[str, str]:
    """Return headers without secrets."""
    return redactor.redact_map(dict(headers))


def hidden(payload: bytes, diagnosis: Diagnosis, window: range, redactor: Redacts) -> frozenset[int]:
    """Return the positions of the bytes in a window of the payload that must not be shown.

    These are the bytes of redacted values, and text that belongs to no value, as behind a fault. The faulty byte is
    always shown.
    """
    if isinstance(redactor, AsItIs):
        return frozenset()
    found: set[int] = set()
    for text in _TEXT.finditer(payload):
        if text.start() < window.stop and text.end() > window.start:
            found.update(_common(range(text.start(), text.end()), window))
    for leaf in _near(diagnosis.leaves, window):
        inside = _common(range(leaf.start, leaf.end), window)
        if value_of(leaf, redactor) == value_of(leaf, AsItIs()):
            found.difference_update(inside)
        else:
            found.update(inside)
    return frozenset(found - {fault.at for fault in diagnosis.faults})


def as_text(payload: bytes, redactor: Redacts, longest: int) -> str | None:
    """Return the beginning of a payload that is text; None if it is not text."""
    try:
        text = payload[: 4 * longest].decode()
    except UnicodeDecodeError as error:
        if error.start < len(payload[: 4 * longest]) - 4:
            return None
        text = payload[: error.start].decode()
    return redactor.redact(text) if text and all(char.isprintable() or char.isspace() for char in text) else None


def _near(leaves: Sequence[Leaf], window: range) -> list[Leaf]:
    return [leaf for leaf in leaves if leaf.start < window.stop and leaf.end > window.start]


def _common(one: range, other: range) -> range:
    return range(max(one.start, other.start), min(one.stop, other.stop))


def _redacted(text: str, path: Path, redactor: Redacts) -> str:
    name = next((step for step in reversed(path) if isinstance(step, str)), "")
    (value,) = redactor.redact_map({name: text}).values()
    return value


def _is_secret(text: str, path: Path, redactor: Redacts) -> bool:
    return _redacted(text, path, redactor) != text
