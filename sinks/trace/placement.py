"""Places the log lines of a trace in its spans."""

from collections.abc import Iterable
from datetime import datetime
from math import inf
from typing import Any

from pipeline.analysis.span_tree import SpanNode, SpanTree

Line = dict[str, Any]
"""The document of a log line."""


def place(tree: SpanTree, lines: Iterable[Line]) -> tuple[dict[int, list[Line]], list[Line]]:
    """Return the log lines of each node, by its `id()`, and the lines without a node.

    A line without a span, or whose span was not found, goes to the topmost span of its service, or else to the root if
    there is exactly one.
    """
    tops: dict[str | None, SpanNode] = {}
    for node in sorted(tree.nodes, key=lambda node: (node.depth, start_of(node))):
        tops.setdefault(node.service, node)
    roots = [node for node in tree.nodes if node.parent is None]
    root = roots[0] if len(roots) == 1 else None
    placed: dict[int, list[Line]] = {}
    unplaced: list[Line] = []
    for line in lines:
        service = field_of(line, "service", "name")
        found = tree.find(field_of(line, "span", "id"), service) or tops.get(service) or root
        if found is None:
            unplaced.append(line)
        else:
            placed.setdefault(id(found), []).append(line)
    return placed, unplaced


def field_of(line: Line, *names: str) -> str | None:
    """Return a text of a document by the names on the way to it; None if it is absent, empty or no text."""
    found: Any = line
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, str) and found else None


def start_of(node: SpanNode) -> float:
    """Return a span's start in microseconds; infinity, so that it sorts last, if it has none."""
    return node.span.get("timestamp") or inf


def time_of(line: Line) -> float:
    """Return a line's time in microseconds; infinity, so that it sorts last, if it has none."""
    try:
        return datetime.fromisoformat(str(line.get("@timestamp"))).timestamp() * 1_000_000
    except (ValueError, OverflowError):
        return inf
