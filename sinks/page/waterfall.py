"""A trace as rows: its spans as a tree, each log line at its time inside its span, and the row to look at first."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from operator import attrgetter

from pipeline.analysis.root_cause import first_failed
from pipeline.analysis.span_tree import SpanNode, SpanTree, within
from sinks.page.clock_skew import clock_skews
from sinks.trace.placement import Line, field_of, place, time_of
from sinks.trace.search import FoundTrace
from tracelink.model.records import ErrorRule

_RULE = ErrorRule()
_LONGEST_ADDRESS = 512
"""As long as the id of a document may be."""
_FEW = 25
"""A trace with so many rows is open as a whole."""
_FIRST_LEVELS = 2
"""Of a larger trace without an error, so many levels are open."""


@dataclass(slots=True, eq=False)
class Row:
    """A span or a log line; times are in microseconds, on the clock of the root."""

    address: str
    """The id of the span or of the line's document; a further span with the same id has a number behind it."""
    depth: int
    parent: int | None
    """The number of the row of the span that has this one inside."""
    node: SpanNode | None
    line: Line | None
    service: str | None
    errored: bool
    start: float
    """Infinity if it has no time."""
    duration: int = 0
    end: int = 0
    """The number of the first row after those inside."""
    is_open: bool = False
    is_cause: bool = False
    """True for the span where the error began, and for the log line that reports it."""
    errors_inside: int = 0


@dataclass(slots=True)
class Waterfall:
    """The rows of a trace in the order in which they are read: each before those inside it."""

    rows: list[Row]
    begin: float
    """The start of the first span or line; 0 if nothing has a time."""
    took: float
    """Microseconds from then to the end of the last one."""
    cause: int | None
    """The number of the row where the error began: its log line if there is one, else its span."""
    missing_parents: int
    """The number of spans whose parents were not received."""
    skews: dict[str, float] = field(default_factory=dict)
    """The largest correction of each service's clock."""

    @classmethod
    def of(cls, found: FoundTrace) -> "Waterfall":
        """Return the rows of a trace."""
        tree = SpanTree(found.records())
        placed, unplaced = place(tree, found.lines)
        skews = clock_skews(tree)
        rows = _Rows(placed, skews).all(tree, unplaced)
        timed = [row for row in rows if 0 < row.start < inf]
        begin = min((row.start for row in timed), default=0.0)
        took = max((row.start + row.duration for row in timed), default=begin) - begin
        by_service: dict[str, float] = {}
        for node in tree.nodes:
            skew = skews.get(id(node), 0.0)
            name = node.service or "?"
            if abs(skew) > abs(by_service.get(name, 0.0)):
                by_service[name] = skew
        missing = sum(node.parent is None and bool(node.span.get("parentId")) for node in tree.nodes)
        waterfall = cls(rows, begin, took, None, missing, by_service)
        waterfall._find_cause(tree)
        waterfall._open()
        return waterfall

    def number_of(self, address: str) -> int | None:
        """Return the number of a row; None if there is none."""
        return next((number for number, row in enumerate(self.rows) if row.address == address), None)

    def ancestors(self, number: int) -> list[int]:
        """Return the numbers of the rows that have this one inside, the outermost first."""
        found: list[int] = []
        above = self.rows[number].parent
        while above is not None:
            found.append(above)
            above = self.rows[above].parent
        return found[::-1]

    def open_to(self, number: int) -> None:
        """Open the rows that have this one inside."""
        for above in self.ancestors(number):
            self.rows[above].is_open = True

    def filtered(self, wanted: Callable[[Row], bool]) -> set[int]:
        """Return the numbers of the rows that are wanted, and of all that have one of them inside."""
        found = [number for number, row in enumerate(self.rows) if wanted(row)]
        return set(found).union(*map(self.ancestors, found)) if found else set()

    def _find_cause(self, tree: SpanTree) -> None:
        node = first_failed(tree)
        lines = [number for number, row in enumerate(self.rows) if row.line is not None and row.errored]
        if node is not None:
            spans = {id(row.node): number for number, row in enumerate(self.rows) if row.node is not None}
            span = spans[id(node)]
            self.rows[span].is_cause = True
            lines = [number for number in lines if within(self._span_of(number), node)]
            self.cause = span
        if lines:
            line = min(lines, key=lambda number: (not _has_exception(self.rows[number]), self.rows[number].start))
            self.rows[line].is_cause = True
            self.cause = line

    def _span_of(self, number: int) -> SpanNode | None:
        parent = self.rows[number].parent
        return None if parent is None else self.rows[parent].node

    def _open(self) -> None:
        """Open the path to the error, all of a small trace, and the first levels of a trace without an error."""
        if len(self.rows) <= _FEW:
            for row in self.rows:
                row.is_open = True
        elif self.cause is None:
            for row in self.rows:
                row.is_open = row.depth < _FIRST_LEVELS
        else:
            self.rows[self.cause].is_open = True
            self.open_to(self.cause)


def _last_first(rows: list[Row]) -> list[Row]:
    """Return rows to take from the end in the order of time; of one time in the order in which they are."""
    return sorted(rows, key=attrgetter("start"))[::-1]


def _has_exception(row: Row) -> bool:
    return row.line is not None and bool(row.line.get("error"))


class _Rows:
    """Walks a tree without recursion: traces can be deeper than Python's recursion limit."""

    def __init__(self, placed: dict[int, list[Line]], skews: dict[int, float]) -> None:
        self._placed = placed
        self._skews = skews
        self._rows: list[Row] = []
        self._seen: dict[str, int] = {}

    def all(self, tree: SpanTree, unplaced: Iterable[Line]) -> list[Row]:
        """Return the rows of all spans and lines."""
        tops = [self._of_span(node, 0, None) for node in tree.nodes if node.parent is None]
        tops += [self._of_line(line, 0, None, 0.0) for line in unplaced]
        pending = _last_first(tops)
        while pending:
            row = pending.pop()
            number = len(self._rows)
            self._rows.append(row)
            if row.node is not None:
                pending += self._inside(row, row.node, number)
        self._close()
        return self._rows

    def _inside(self, row: Row, node: SpanNode, number: int) -> Sequence[Row]:
        skew = self._skews.get(id(node), 0.0)
        inside = [self._of_line(line, row.depth + 1, number, skew) for line in self._placed.get(id(node), ())]
        inside += [self._of_span(child, row.depth + 1, number) for child in node.children]
        return _last_first(inside)

    def _of_span(self, node: SpanNode, depth: int, parent: int | None) -> Row:
        span = node.span
        start = span.get("timestamp")
        return Row(
            self._address(span["id"]),
            depth,
            parent,
            node,
            None,
            node.service,
            node.errored,
            start - self._skews.get(id(node), 0.0) if start else inf,
            max(0, span.get("duration") or 0),
        )

    def _of_line(self, line: Line, depth: int, parent: int | None, skew: float) -> Row:
        return Row(
            self._address(line["_id"]),
            depth,
            parent,
            None,
            line,
            field_of(line, "service", "name"),
            _RULE.log(field_of(line, "log", "level")),
            time_of(line) - skew,
        )

    def _address(self, text: str) -> str:
        text = text[:_LONGEST_ADDRESS]
        self._seen[text] = seen = self._seen.get(text, 0) + 1
        return text if seen == 1 else f"{text}~{seen}"

    def _close(self) -> None:
        """Set for each row where it ends, and how many errors are inside."""
        for number in range(len(self._rows) - 1, -1, -1):
            row = self._rows[number]
            row.end = max(row.end, number + 1)
            if row.parent is not None:
                above = self._rows[row.parent]
                above.end = max(above.end, row.end)
                above.errors_inside += row.errors_inside + row.errored
