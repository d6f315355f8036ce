"""The spans of a trace as a tree, by parent links only: clocks are skewed, links are not."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from tracelink.model.records import Flag, Span, service_of

RECEIVING = frozenset({"SERVER", "CONSUMER"})
"""The kinds of spans that answer a call or receive a message."""
SENDING = frozenset({"CLIENT", "PRODUCER"})
_LAST = "~"
"""Sorts after all kinds."""
_WALKING = -1
_UNKNOWN = -2

Side = dict[str, Span]
"""Spans by id; of several with the same id, the last one."""


def by_side(spans: Iterable[Span]) -> tuple[Side, Side]:
    """Return calling and answering spans, apart because a server span may share its client's id."""
    callers: Side = {}
    answering: Side = {}
    for span in spans:
        (answering if span.get("kind") in RECEIVING else callers)[span["id"]] = span
    return callers, answering


def caller_of(span: Span, callers: Side, answering: Side) -> Span | None:
    """Return the span that called this one, or None if it is not among these; of two with the same id the client.

    For counts span by span. `SpanTree` is slower but finds the right one of two sides with the same id.
    """
    # A server span may have its client's span id; its parent id is then the client's parent id.
    if span.get("kind") in RECEIVING and (client := callers.get(span["id"])):
        return client
    parent_id = span.get("parentId") or ""
    return callers.get(parent_id) or answering.get(parent_id)


@dataclass(slots=True, eq=False)
class SpanNode:
    """A node of the tree; `depth` is the number of spans above it."""

    span: Span
    service: str | None
    errored: bool
    parent: "SpanNode | None" = None
    children: "list[SpanNode]" = field(default_factory=list)
    depth: int = _UNKNOWN

    @property
    def receives(self) -> bool:
        """True for the answering side of a call, or the receiver of a message."""
        return self.span.get("kind") in RECEIVING


class SpanTree:
    """The spans of a part without repeats, under the spans that called them; independent of the order of arrival.

    It may have several roots. A span whose parent is missing has depth 1, and so have spans whose parent links form a
    cycle: the links of a cycle are ignored.
    """

    def __init__(self, spans: Iterable[Span]) -> None:
        self.nodes = _distinct(spans)
        self._by_id: dict[str, list[SpanNode]] = {}
        for node in self.nodes:
            self._by_id.setdefault(node.span["id"], []).append(node)
        for node in self.nodes:
            node.parent = self._caller(node)
        for node in self.nodes:
            _measure(node)
        for node in self.nodes:
            if node.parent is not None:
                node.parent.children.append(node)

    def find(self, span_id: str | None, service: str | None) -> SpanNode | None:
        """Return the node with this span id; of two that share it, the service's own, else the answering one."""
        found = self._by_id.get(span_id) if span_id else None
        if not found:
            return None
        return found[0] if len(found) == 1 else min(found, key=lambda one: (one.service != service, not one.receives))

    def _caller(self, node: SpanNode) -> SpanNode | None:
        span = node.span
        if node.receives:
            # A server span may have its client's span id; its parent id is then the client's parent id.
            for other in self._by_id[span["id"]]:
                if not other.receives:
                    return other
        parent_id = span.get("parentId")
        return self.find(parent_id, node.service) if parent_id != span["id"] else None


def within(node: SpanNode | None, outer: SpanNode) -> bool:
    """Return True if a node is `outer`, or below it inside the same service."""
    while node is not None and node is not outer and node.service == outer.service:
        node = node.parent
    return node is outer


def _distinct(spans: Iterable[Span]) -> list[SpanNode]:
    """Return the spans without repeats: a repeat has the same id, kind and service, but may differ in the rest."""
    groups: dict[tuple[str, str, str], list[Span]] = {}
    for span in spans:
        groups.setdefault((span["id"], span.get("kind") or _LAST, service_of(span) or ""), []).append(span)
    # Sorted by id and kind, so that every choice between equals is independent of the order of arrival.
    return [_node(groups[key]) for key in sorted(groups)]


def _node(repeats: list[Span]) -> SpanNode:
    span = repeats[0] if len(repeats) == 1 else min(repeats, key=_fullest)
    return SpanNode(span, service_of(span) or None, bool(span["flags"] & Flag.ERROR))


def _fullest(span: Span) -> tuple[bool, bool, bool, str]:
    """Return a sort key of repeats: errored first, then those with a time and a duration, then by content."""
    content = json.dumps(span, sort_keys=True, default=str)
    return not span["flags"] & Flag.ERROR, not span.get("timestamp"), not span.get("duration"), content


def _measure(node: SpanNode) -> None:
    """Set the depths of a node and of all nodes above it."""
    path: list[SpanNode] = []
    above: SpanNode | None = node
    while above is not None and above.depth == _UNKNOWN:
        above.depth = _WALKING
        path.append(above)
        above = above.parent
    if above is not None and above.depth == _WALKING:
        start = path.index(above)
        for one in path[start:]:
            one.parent, one.depth = None, 1
        del path[start:]
    for one in reversed(path):
        if one.parent is not None:
            one.depth = one.parent.depth + 1
        else:
            one.depth = 1 if one.span.get("parentId") else 0
