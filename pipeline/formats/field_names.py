"""Names of fields that are there already."""

from collections.abc import Sequence
from typing import TypeVar

from tracelink.texts import MOST_APOSTROPHES, free_name

T = TypeVar("T")


def put(fields: dict[str, T], name: str, value: T) -> None:
    """Add a field; if there is one of this name with another value, the name gets an apostrophe, as in `free_name`."""
    free = name
    for _ in range(MOST_APOSTROPHES):
        if fields.get(free, value) == value:
            break
        free += "'"
    else:
        free = free_name(fields, name)
    fields[free] = value


def as_map(pairs: Sequence[tuple[str, T]]) -> dict[str, T]:
    """Return pairs of names and values as a map; a second value of a name gets an apostrophe, as in `free_name`."""
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    found = {}
    times: dict[str, int] = {}
    for name, value in pairs:
        number = times[name] = times.get(name, -1) + 1
        marks = "'" * min(number, MOST_APOSTROPHES)
        free = f"{name}{marks}{number}" if number > MOST_APOSTROPHES else name + marks
        found[free_name(found, free)] = value
    return found
