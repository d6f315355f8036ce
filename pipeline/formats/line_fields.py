"""The fields of a decoded log line under dotted names, and which of them may stand for a part of the record."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from pipeline.formats.names import Part, holds_lists, places
from tracelink.texts import free_name

_PAIR = {"key", "value"}
# Deeper objects keep their JSON text.
_MAX_DEPTH = 16


class Candidate(NamedTuple):
    """The name of a field that may stand for a part; `decimal`: a number under it is a decimal id."""

    name: str
    decimal: bool


class _Plan(NamedTuple):
    """What the names of a line's fields may stand for."""

    candidates: Mapping[Part, tuple[Candidate, ...]]
    may_have_exception: bool


class LineFields:
    """The fields of a line; those that the record says are dropped, and the rest stays with the record."""

    __slots__ = ("_objects", "candidates", "fields", "may_have_exception", "values")

    def __init__(self, value: Mapping[str, object]) -> None:
        self.fields: dict[str, Any] = {}
        """Values that are no objects, by name; nested ones by dotted name. Null fields are left out."""
        self._objects: dict[str, Any] = {}
        """Objects by name, and the fields of objects in a list: they are in `fields` in another form."""
        self._flatten(value, "", _MAX_DEPTH)
        plan = _plan(tuple(self.fields), tuple(self._objects))
        self.candidates = plan.candidates
        """The fields that may stand for a part, in the order in which they are tried."""
        self.may_have_exception = plan.may_have_exception
        self.values = self.fields if not self._objects else self.fields | self._objects
        """The value of each candidate that was not dropped."""

    def _flatten(self, value: Mapping[str, object], prefix: str, depth: int) -> None:
        """Put nested objects under dotted names; if a line has a name in both forms, the second gets an apostrophe."""
        fields = self.fields
        for name, field in value.items():
            full = prefix + name if prefix else name
            kind = type(field)
            if kind is dict and field and depth:
                self._objects[full] = field
                self._flatten(field, f"{full}.", depth - 1)  # type: ignore[arg-type] # `kind` says that it is an object
            elif field is not None:
                if full in fields:
                    full = free_name(fields, full)
                fields[full] = field
                if kind is list and holds_lists(full):
                    self._look_into(field, full)  # type: ignore[arg-type] # `kind` says that it is a list

    def _look_into(self, values: Iterable[object], prefix: str) -> None:
        """Find the fields of objects in a list, as .NET's scopes; the first of a name counts.

        An object of a key and a value is a field, as in the lists of Log4j and OpenTelemetry.
        """
        for value in values:
            if isinstance(value, dict):
                if value.keys() == _PAIR and isinstance(value["key"], str):
                    self._objects.setdefault(f"{prefix}.{value['key']}", value["value"])
                    continue
                for name, field in value.items():
                    self._objects.setdefault(f"{prefix}.{name}", field)

    def drop(self, name: str) -> None:
        """Remove a field, or all fields of an object, since the record says the same."""
        if self.values is not self.fields:
            self.values.pop(name, None)
        if name in self.fields:
            del self.fields[name]
        else:
            for inner in self.of_object(name):
                del self.fields[inner]

    def of_object(self, name: str) -> list[str]:
        """Return the names of the fields of an object."""
        prefix = f"{name}."
        return [inner for inner in self.fields if inner.startswith(prefix)]


_EXCEPTION = (Part.ERROR_TYPE, Part.ERROR_MESSAGE, Part.STACK_TRACE, Part.ERROR)


# Lines of one logger have few sets of names.
@lru_cache(maxsize=2048)
def _plan(fields: tuple[str, ...], objects: tuple[str, ...]) -> _Plan:
    """Return the candidates for each part among the names of a line."""
    found: dict[Part, list[tuple[int, Candidate]]] = {part: [] for part in Part}
    for name in (*fields, *objects):
        for part, rank, decimal in places(name):
            found[part].append((rank, Candidate(name, decimal)))
    candidates = {
        part: tuple(candidate for _, candidate in sorted(ranked, key=lambda pair: pair[0]))
        for part, ranked in found.items()
    }
    return _Plan(candidates, any(candidates[part] for part in _EXCEPTION))
