"""On which line of a TOML file a key stands, which `tomllib` does not tell."""

import tomllib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

Path = Sequence[str | int]
"""The way to a value: names of keys and, counted from 0, places in lists."""


def line_of(text: str, *paths: Path) -> int | None:
    """Return the line, counted from 1, that begins the statement in which a value is given.

    `paths` are ways to write the same. Where none is there whole, it is the one that is there furthest; None where
    nothing of any is. `text` is TOML without mistakes.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    starts = list(_statements(lines))
    ends = [*starts[1:], len(lines)]
    for missing in range(max(map(len, paths))):
        for path in paths:
            way = path[: len(path) - missing]
            # What is there only grows with the statements, so the first that gives it is found by halving.
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
    """Give the place of each statement's first line: one that is not over yet is no TOML by itself."""
    start = 0
    for end in range(1, len(lines) + 1):
        try:
            tomllib.loads("\n".join(lines[start:end]))
        except tomllib.TOMLDecodeError:
            continue
        yield start
        start = end
