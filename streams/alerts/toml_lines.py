"""The line numbers of keys in a TOML file; `tomllib` does not report them."""

import tomllib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

Path = Sequence[str | int]
"""The path of a value: names of keys, and indices of lists, counted from 0."""


def line_of(text: str, *paths: Path) -> int | None:
    """Return the first line, counted from 1, of the statement that sets a value.

    `paths` are alternative spellings of one path. If none exists in full, the longest existing beginning counts;
    returns None if there is none. `text` must be valid TOML.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    starts = list(_statements(lines))
    ends = [*starts[1:], len(lines)]
    for missing in range(max(map(len, paths))):
        for path in paths:
            way = path[: len(path) - missing]
            # Each statement only adds values, so a binary search finds the first that sets this one.
            at = bisect_left(ends, True, key=partial(_holds, lines, way))  # noqa: FBT003 - False is before True
            if way and at < len(ends):
                return starts[at] + 1
    return None


def _holds(lines: list[str], path: Path, end: int) -> bool:
    found: Any = tomllib.loads("\n".join(lines[:end]))
    for step in path:
        if isinstance(step, str):
            if not isinstance(found, dict) or step not in found:
                return False
        elif not isinstance(found, list) or step >= len(found):
            return False
        found = found[step]
    return True


def _statements(lines: list[str]) -> Iterator[int]:
    """Yield the index of each statement's first line; an unfinished statement is not valid TOML by itself."""
    start = 0
    for end in range(1, len(lines) + 1):
        try:
            tomllib.loads("\n".join(lines[start:end]))
        except tomllib.TOMLDecodeError:
            continue
        yield start
        start = end
