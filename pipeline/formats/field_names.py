"""Names of fields that are there already."""

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
