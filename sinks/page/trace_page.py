"""A trace as the page shows it: one page of rows of its waterfall, with the rows around them, filtered."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from operator import itemgetter
from typing import Any, Self

from sinks.base.sampling import severity
from sinks.page import shown
from sinks.page.problem_list import whole
from sinks.page.record_fields import level_of, words
from sinks.page.waterfall import Row, Waterfall
from sinks.trace.search import FoundTrace

ROWS = 400
"""Rows of one page."""
_CONTEXT = 100
"""Most rows of earlier pages, the nearest of those that have the first row inside."""
_SETTLED_MS = 10_000
_MOST_CLOCKS = 10
_ALONE_MS = 60_000
"""Lines without a part of their trace are younger than this if the part is still to be seen."""
_WIDTH = 1000
"""Of the bars, in units of their drawing."""
LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR")
"""The levels to choose from."""


@dataclass(frozen=True, slots=True)
class TraceFilter:
    """What of a trace is shown, from the query of its address."""

    service: str = ""
    level: str = ""
    text: str = ""
    at: str = ""
    """The address of a row whose record is shown."""
    page: int | None = None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Self:
        """Return the filters of a query."""
        level = query.get("level", "").upper()
        return cls(
            query.get("service", ""),
            level if level in LEVELS else "",
            query.get("text", "").strip(),
            query.get("at", ""),
            whole(query["page"], 1) if query.get("page") else None,
        )

    @property
    def narrows(self) -> bool:
        """True if it leaves rows out."""
        return bool(self.service or self.level or self.text)

    def takes(self, row: Row) -> bool:
        """Return True if a row is one that is looked for."""
        if self.service and row.service != self.service:
            return False
        if self.level and (row.line is None or severity(level_of(row)) < severity(self.level)):
            return False
        return not self.text or self.text.lower() in words(row)


@dataclass(frozen=True, slots=True)
class Bar:
    """Where a row lies in time, in units of the drawing."""

    x: int
    width: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A row, at its place in the page; rows inside it follow until the `Closed` that belongs to it."""

    row: Row
    number: int
    bar: Bar | None
    holds: bool
    """True if rows are inside it on this page, or on the next one."""
    is_open: bool
    is_context: bool
    """True for a row of an earlier page, or one that a filter leaves out: it says where the others are."""


CLOSED = None
"""Ends the innermost row that holds others."""


@dataclass(frozen=True, slots=True)
class TracePage:
    """One page of a trace."""

    found: FoundTrace
    waterfall: Waterfall
    wanted: TraceFilter
    page: int
    pages: int
    shown: Sequence[int]
    """The numbers of all rows that the filter leaves, on every page."""
    at: int | None
    """The number of the row whose record is shown."""

    @classmethod
    def of(cls, found: FoundTrace, waterfall: Waterfall, wanted: TraceFilter) -> Self:
        """Return the page that is asked for: by its number, by a row, or else the one where the error began."""
        rows = waterfall.rows
        numbers: Sequence[int] = sorted(waterfall.filtered(wanted.takes)) if wanted.narrows else range(len(rows))
        asked = waterfall.number_of(wanted.at) if wanted.at else None
        at = asked if asked is not None else waterfall.cause
        pages = max(1, -(-len(numbers) // ROWS))
        place = _index(numbers, at) if at is not None else None
        page = wanted.page if wanted.page is not None else 1 if place is None else place // ROWS + 1
        return cls(found, waterfall, wanted, min(page, pages), pages, numbers, at)

    def rows(self) -> Iterator[Opened | None]:
        """Yield the rows of this page in order, each with a `CLOSED` after those inside it if it holds any."""
        rows, numbers = self.waterfall.rows, self.shown
        here = numbers[(self.page - 1) * ROWS : self.page * ROWS]
        if not here:
            return
        path = set(self.waterfall.ancestors(self.at)) if self.at is not None else set[int]()
        context = self.waterfall.ancestors(here[0])[-_CONTEXT:]
        open_rows: list[Row] = []
        for place, number in enumerate([*context, *here]):
            row = rows[number]
            while open_rows and open_rows[-1].end <= number:
                open_rows.pop()
                yield CLOSED
            holds = row.end > number + 1 and self._next_after(number) < row.end
            is_context = place < len(context) or (self.wanted.narrows and not self.wanted.takes(row))
            is_open = row.is_open or number in path or place < len(context) or self.wanted.narrows
            yield Opened(row, number, self._bar(row), holds, is_open, is_context)
            if holds:
                open_rows.append(row)
        for _ in open_rows:
            yield CLOSED

    def _next_after(self, number: int) -> int:
        """Return the number of the next row that is shown on any page; beyond every row if there is none."""
        if not self.wanted.narrows:
            return number + 1
        place = _index(self.shown, number)
        if place is None or place + 1 >= len(self.shown):
            return len(self.waterfall.rows) + 1
        return self.shown[place + 1]

    def _bar(self, row: Row) -> Bar | None:
        took = self.waterfall.took
        if not 0 < row.start < inf or took <= 0:
            return None
        x = min(_WIDTH - 2, round((row.start - self.waterfall.begin) / took * _WIDTH))
        return Bar(x, max(2, min(_WIDTH - x, round(row.duration / took * _WIDTH))))

    @property
    def services(self) -> Sequence[str]:
        """The names of the services in the trace."""
        return sorted({row.service for row in self.waterfall.rows if row.service})

    def counts(self) -> tuple[int, int, int]:
        """Return the numbers of spans, log lines and errored ones of both."""
        spans = sum(row.node is not None for row in self.waterfall.rows)
        return spans, len(self.waterfall.rows) - spans, sum(row.errored for row in self.waterfall.rows)

    @property
    def is_settled(self) -> bool:
        """False if a part was closed so lately, or lines without one are so young, that a store may have more."""
        closed: list[int] = [one["trace"]["closed"] for one in self.found.parts if one.get("trace", {}).get("closed")]
        if not closed:
            return (self.waterfall.begin + self.waterfall.took) / 1_000 + _ALONE_MS < shown.now_ms()
        return max(closed) + _SETTLED_MS < shown.now_ms()

    def notes(self) -> list[str]:
        """Say what of the trace is missing, or was changed to show it."""
        found, waterfall = self.found, self.waterfall
        said: list[str] = []
        if waterfall.missing_parents:
            said.append(
                f"{_count(waterfall.missing_parents, 'span')} without their callers: the callers' spans were not "
                "received, or not kept."
            )
        if not found.spans:
            said.append("Only log lines: its spans were not received, or not kept (TRACELINK_KEEP_SHARE).")
        if len(found.parts) > 1:
            said.append(_parts(found.parts))
        skews = sorted(waterfall.skews.items(), key=itemgetter(1, 0))
        for service, skew in skews[:_MOST_CLOCKS]:
            said.append(
                f"The clock of {shown.name(service)} was moved forward by up to {shown.took(-skew)}: a call cannot "
                "arrive before it is sent. Times of its records are as they were."
            )
        if len(skews) > _MOST_CLOCKS:
            said.append(f"So were the clocks of {len(skews) - _MOST_CLOCKS:,} more services.")
        if found.limit is not None:
            said.append(f"Only the first {found.limit:,} spans and {found.limit:,} log lines are shown.")
        return said


def _parts(parts: Sequence[Mapping[str, Any]]) -> str:
    """Say in how many parts a trace came, and how late the last one was."""
    closed = sorted(one["trace"]["closed"] for one in parts if isinstance(one.get("trace", {}).get("closed"), int))
    text = f"It came in {len(parts)} parts"
    if len(closed) > 1:
        text += f", the last one {shown.took((closed[-1] - closed[0]) * 1000)} after the first"
    return f"{text}: records that came late."


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _index(numbers: Sequence[int], number: int) -> int | None:
    """Return the place of a number among sorted ones; None if it is not among them."""
    place = bisect_left(numbers, number)
    return place if place < len(numbers) and numbers[place] == number else None
