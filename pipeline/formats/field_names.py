"""Names of fields that are there already."""

from typing import TypeVar

T = TypeVar("T")


def put(fields: dict[str, T], name: str, value: T) -> None:
    """Add a field; if there is one of this name with another value, the name gets an apostrophe."""
    while fields.get(name, value) != value:
        name += "'"
    fields[name] = value
