"""Cuts the texts of a record that is too large, the largest first, and says so in a tag or field."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar, cast

from tracelink.texts import free_name

R = TypeVar("R", bound=Mapping[str, Any])

TRUNCATED = "tracelink.truncated"
"""The tag or field that names the texts that were cut, and the bytes that each had before."""

_WHOLE = frozenset({"id", "parentId", "spanId", "kind"})
_MAPS = frozenset({"tags", "fields"})
_ELLIPSIS = "…"
# No text is cut to fewer bytes; instead the last tags, fields and annotations are left out.
_LEAST = 32
_MOST_NAMED = 8
_LONGEST_LABEL = 40
# The tag itself takes no more.
_NOTE_BYTES = 640


class _Text:
    """A text of a record, and the bytes that it may keep."""

    __slots__ = ("label", "most", "raw")

    def __init__(self, label: str, value: str) -> None:
        self.label = label if len(label) <= _LONGEST_LABEL else label[:_LONGEST_LABEL] + _ELLIPSIS
        self.raw = value.encode()
        self.most = len(self.raw)

    def __str__(self) -> str:
        if self.most >= len(self.raw):
            return self.raw.decode()
        return self.raw[: max(0, self.most - len(_ELLIPSIS.encode()))].decode(errors="ignore") + _ELLIPSIS


class _Map(list[tuple[_Text, _Text]]):
    """The names and values of tags or fields."""


def truncated(record: R, excess: int, notes: Literal["tags", "fields"]) -> R:
    """Return a span or log record whose message is at least `excess` bytes smaller, if its texts have as many.

    Ids, times and flags stay whole. The entry `tracelink.truncated` in the map `notes` says which texts were cut.
    """
    copy: dict[str, Any] = {name: value if name in _WHOLE else _copied(value, name) for name, value in record.items()}
    allowed = _size(copy) - excess - _NOTE_BYTES
    left_out = 0
    while (level := _level(copy, allowed)) < _LEAST and (longest := _longest(copy)):
        kept = len(longest) // 2
        left_out += len(longest) - kept
        del longest[kept:]
    cut = [text for text in _texts(copy) if len(text.raw) > max(level, _LEAST)]
    for text in cut:
        text.most = max(level, _LEAST)
    found: dict[str, Any] = {name: _restored(value) for name, value in copy.items()}
    found[notes] = {**found.get(notes, {}), TRUNCATED: _note(cut, left_out)}
    return cast("R", found)


def _copied(value: object, path: str) -> object:
    """Return a copy with a `_Text` for each text, and a `_Map` for tags and fields."""
    if isinstance(value, str):
        return _Text(path, value)
    if isinstance(value, Mapping):
        if path in _MAPS:
            return _Map((_Text(f"name of {name}", name), _Text(name, one)) for name, one in value.items())
        return {name: _copied(one, f"{path}.{name}") for name, one in value.items()}
    if isinstance(value, list):
        return [_copied(one, f"{path}.{number}") for number, one in enumerate(value)]
    return value


def _restored(value: object) -> object:
    if isinstance(value, _Text):
        return str(value)
    if isinstance(value, _Map):
        found: dict[str, str] = {}
        for name, one in value:
            # Names may differ only in what was cut.
            found[free_name(found, str(name))] = str(one)
        return found
    if isinstance(value, dict):
        return {name: _restored(one) for name, one in value.items()}
    return [_restored(one) for one in value] if isinstance(value, list) else value


def _texts(value: object) -> list[_Text]:
    """Return all texts in a copy."""
    if isinstance(value, _Text):
        return [value]
    inner: Iterable[object] = ()
    if isinstance(value, dict):
        inner = value.values()
    elif isinstance(value, (list, tuple)):
        inner = value
    return [text for one in inner for text in _texts(one)]


def _longest(copy: dict[str, Any]) -> list[Any] | None:
    """Return the longest of tags, fields and annotations; None if all are empty."""
    return max((value for value in copy.values() if isinstance(value, list) and value), key=len, default=None)


def _size(value: object) -> int:
    """Return the bytes of a value in Avro, or fewer."""
    if isinstance(value, _Text):
        return _varint(len(value.raw)) + len(value.raw)
    if isinstance(value, int):
        return _varint(value)
    if isinstance(value, dict):
        return sum([_size(one) for one in value.values()])
    return sum([_size(one) for one in value]) if isinstance(value, (list, tuple)) else 0


def _varint(number: int) -> int:
    return (number.bit_length() + 7) // 7


def _level(copy: dict[str, Any], allowed: int) -> int:
    """Return the largest size to which all larger texts may be cut, so that the copy has the allowed size."""
    sizes = sorted(len(text.raw) for text in _texts(copy))
    left = allowed - (_size(copy) - sum(sizes))
    for number, size in enumerate(sizes):
        share = left // (len(sizes) - number)
        if size > share:
            return share
        left -= size
    return max(_LEAST, *sizes[-1:])


def _note(cut: list[_Text], left_out: int) -> str:
    cut.sort(key=lambda text: len(text.raw), reverse=True)
    said = [f"{text.label} ({len(text.raw)} bytes)" for text in cut[:_MOST_NAMED]]
    if len(cut) > _MOST_NAMED:
        said.append(f"{len(cut) - _MOST_NAMED} more")
    if left_out:
        said.append(f"{left_out} entries left out")
    return ", ".join(said)
