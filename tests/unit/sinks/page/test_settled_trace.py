"""A page of a trace asks for it again as long as a store may not show all of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sinks.page.trace_page import TraceFilter, TracePage
from sinks.page.waterfall import Waterfall
from sinks.trace.search import FoundTrace


def trace_page(*parts: dict[str, Any], seconds_ago: float) -> TracePage:
    """Return the page of a trace with a line of so many seconds ago."""
    at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    line = {"_id": "1", "@timestamp": at.isoformat(), "message": "a line", "service": {"name": "payment"}}
    found = FoundTrace(bytes(15) + b"1", list(parts), [], [line])
    return TracePage.of(found, Waterfall.of(found), TraceFilter())


def part(*, closed_seconds_ago: float) -> dict[str, Any]:
    return {"trace": {"closed": round((datetime.now(UTC).timestamp() - closed_seconds_ago) * 1000)}}


@pytest.mark.parametrize(("seconds_ago", "is_settled"), [(1, False), (50, False), (70, True)])
def test_lines_that_are_visible_before_their_part_wait_for_it(seconds_ago: float, *, is_settled: bool) -> None:
    assert trace_page(seconds_ago=seconds_ago).is_settled is is_settled


@pytest.mark.parametrize(("closed", "is_settled"), [(1, False), (30, True)])
def test_a_trace_with_a_part_is_settled_some_seconds_after_its_end(closed: float, *, is_settled: bool) -> None:
    page = trace_page(part(closed_seconds_ago=60), part(closed_seconds_ago=closed), seconds_ago=40)
    assert page.is_settled is is_settled
