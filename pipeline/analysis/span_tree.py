"""The calls of a trace as a tree, by its parent links alone: clocks are skewed, links are not."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from tracelink.model.records import Flag, Span, service_of

RECEIVING = frozenset({"SERVER", "CONSUMER"})
"""The kinds of spans that answer a call or take a message."""
SENDING = frozenset({"CLIENT", "PRODUCER"})
_LAST = "~"
"""Sorts behind all kinds."""
_WALKING = -1
_UNKNOWN = -2

Side = dict[str, Span]
"""Spans by their ids; of several with an id the last one."""


def by_side(spans: Iterable[Span]) -> tuple[Side, Side]:
    """Return the spans that may have called others, and those that answer: a server may share its client's id."""
    callers: Side = {}
    answering: Side = {}
    for span in spans:
        (answering if span.get("kind") in RECEIVING else callers)[span["id"]] = span
    return callers, answering


def caller_of(span: Span, callers: Side, answering: Side) -> Span | None:
    """Return the span that called another one, if it is among these; of two that share an id the calling one.

    For what is counted span by span. The tree takes the time to see which of two sides a span was made below.
    """
    # A server may continue its client's span id; its parent id is then the client's own parent.
    if span.get("kind") in RECEIVING and (client := callers.get(span["id"])):
        return client
    parent_id = span.get("parentId") or ""
    return callers.get(parent_id) or answering.get(parent_id)


@dataclass(slots=True, eq=False)
class Call:
    """A span in its place; `depth` counts the calls above it."""

    span: Span
    service: str | None
    errored: bool
    parent: "Call | None" = None
    children: "list[Call]" = field(default_factory=list)
    depth: int = _UNKNOWN

    @property
    def receives(self) -> bool:
        """Tell whether it is the answering side of a call, or the one that takes a message."""
        return self.span.get("kind") in RECEIVING


class CallTree:
    """The spans of a part of a trace, each once, under those that called them; the same in any order of arrival.

    It may have several roots. A span whose parent is not there is at least one deep, and so are those whose links run
    in a ring: no link among them counts.
    """

    def __init__(self, spans: Iterable[Span]) -> None:
        self.calls = _distinct(spans)
        self._by_id: dict[str, list[Call]] = {}
        for call in self.calls:
            self._by_id.setdefault(call.span["id"], []).append(call)
        for call in self.calls:
            call.parent = self._caller(call)
        for call in self.calls:
            _measure(call)
        for call in self.calls:
            if call.parent is not None:
                call.parent.children.append(call)

    def find(self, span_id: str | None, service: str | None) -> Call | None:
        """Return the call with this span id; of two sides that share it the service's own, else the answering one."""
        found = self._by_id.get(span_id) if span_id else None
        if not found:
            return None
        return found[0] if len(found) == 1 else min(found, key=lambda one: (one.service != service, not one.receives))

    def _caller(self, call: Call) -> Call | None:
        span = call.span
        if call.receives:
            # A server may continue its client's span id; its parent id is then the client's own parent.
            for other in self._by_id[span["id"]]:
                if not other.receives:
                    return other
        parent_id = span.get("parentId")
        return self.find(parent_id, call.service) if parent_id != span["id"] else None


def within(call: Call | None, outer: Call) -> bool:
    """Tell whether a call is `outer`, or was made below it inside the same service."""
    while call is not None and call is not outer and call.service == outer.service:
        call = call.parent
    return call is outer


def _distinct(spans: Iterable[Span]) -> list[Call]:
    """Return each span once: a repeat has the same id, kind and service, though maybe not all of the rest."""
    groups: dict[tuple[str, str, str], list[Span]] = {}
    for span in spans:
        groups.setdefault((span["id"], span.get("kind") or _LAST, service_of(span) or ""), []).append(span)
    # In the order of ids and kinds, so that where two would do, the same one is taken whichever came first.
    return [_call(groups[key]) for key in sorted(groups)]


def _call(repeats: list[Span]) -> Call:
    span = repeats[0] if len(repeats) == 1 else min(repeats, key=_fullest)
    return Call(span, service_of(span) or None, bool(span["flags"] & Flag.ERROR))


def _fullest(span: Span) -> tuple[bool, bool, bool, str]:
    """Order repeats: the errored first, those that have ended next, and a fixed one of the rest."""
    content = json.dumps(span, sort_keys=True, default=str)
    return not span["flags"] & Flag.ERROR, not span.get("timestamp"), not span.get("duration"), content


def _measure(call: Call) -> None:
    """Find the depths of a call and of all above it."""
    path: list[Call] = []
    above: Call | None = call
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
