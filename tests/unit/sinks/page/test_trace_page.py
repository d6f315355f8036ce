"""One page of a trace: which rows, which of them are open, and what is said of the trace."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.page import shown, trace_page
from sinks.page.trace_page import CLOSED, ROWS, Opened, TraceFilter, TracePage
from sinks.page.waterfall import Waterfall
from sinks.trace.search import FoundTrace
from tests.kit.page import at, failed, found, line, part, span
from tests.kit.sink_examples import START

PAY = {"localEndpoint": {"serviceName": "pay"}}


def page_of(trace: FoundTrace, query: Mapping[str, str] | None = None) -> TracePage:
    return TracePage.of(trace, Waterfall.of(trace), TraceFilter.of(query or {}))


def opened(page: TracePage) -> list[Opened]:
    return [one for one in page.rows() if one is not None]


def addresses(page: TracePage) -> list[str]:
    """Return the rows that a page shows for themselves."""
    return [one.row.address for one in opened(page) if not one.is_context]


def context(page: TracePage) -> list[str]:
    return [one.row.address for one in opened(page) if one.is_context]


def told(page: TracePage) -> str:
    """Return the rows as their addresses, and in brackets those inside."""
    said = ""
    for one in page.rows():
        if one is CLOSED:
            said += ") "
        else:
            said += one.row.address + (" (" if one.holds else " ")
    return said


def lines_of(number: int, span_id: str | None = "1") -> list[dict[str, Any]]:
    return [line(f"line {one}", one, span_id) for one in range(number)]


def small() -> FoundTrace:
    return found(
        [span("1"), span("2", "1", timestamp=at(2), **PAY), failed("3", "2", timestamp=at(3), **PAY)],
        [
            line("hello", 1, "1"),
            line("paid", 4, "3", service={"name": "pay"}, log={"level": "WARN"}, labels={"card": "VISA"}),
            line("broken", 5, "3", service={"name": "pay"}, log={"level": "ERROR"}, error={"type": "BankError"}),
        ],
    )


def test_all_rows_of_a_small_trace_are_on_one_page_opened_at_the_error() -> None:
    page = page_of(small())
    assert told(page) == "1 (hello 2 (3 (paid broken ) ) ) "
    assert (page.page, page.pages, page.at) == (1, 1, 5)
    assert all(one.is_open for one in opened(page))
    assert page.services == ["cart", "pay"]
    assert page.counts() == (3, 3, 2)


@pytest.mark.parametrize(
    ("query", "kept", "around"),
    [
        ({"service": "pay"}, ["2", "3", "paid", "broken"], ["1"]),
        ({"service": "cart"}, ["1", "hello"], []),
        ({"level": "WARN"}, ["paid", "broken"], ["1", "2", "3"]),
        ({"level": "error"}, ["broken"], ["1", "2", "3"]),
        ({"level": "TRACE"}, ["hello", "paid", "broken"], ["1", "2", "3"]),
        ({"text": "HELLO"}, ["hello"], ["1"]),
        ({"text": "visa"}, ["paid"], ["1", "2", "3"]),
        ({"text": "bankerror"}, ["broken"], ["1", "2", "3"]),
        ({"text": "gone"}, ["3"], ["1", "2"]),
        ({"text": "op 2"}, ["2"], ["1"]),
        ({"service": "pay", "level": "INFO", "text": "paid"}, ["paid"], ["1", "2", "3"]),
        ({"service": "other"}, [], []),
        ({"text": "nowhere"}, [], []),
        # A level that is none leaves nothing out.
        ({"level": "LOUD"}, ["1", "hello", "2", "3", "paid", "broken"], []),
    ],
)
def test_a_filter_leaves_its_rows_and_those_that_have_them_inside(
    query: dict[str, str], kept: list[str], around: list[str]
) -> None:
    page = page_of(small(), query)
    assert addresses(page) == kept
    assert context(page) == around
    assert all(one.is_open for one in opened(page))


def test_a_row_holds_only_what_a_filter_leaves() -> None:
    assert told(page_of(small(), {"text": "op 2"})) == "1 (2 ) "
    assert told(page_of(small(), {"text": "hello"})) == "1 (hello ) "
    assert told(page_of(small(), {"service": "pay", "level": "ERROR"})) == "1 (2 (3 (broken ) ) ) "


def test_of_many_rows_only_the_way_to_the_error_is_open() -> None:
    trace = found([span("1"), failed("2", "1"), span("3", "1"), span("4", "3")], lines_of(100))
    assert [one.row.address for one in opened(page_of(trace)) if one.holds and one.is_open] == ["1"]
    page = page_of(trace, {"at": "4"})
    assert [one.row.address for one in opened(page) if one.holds and one.is_open] == ["1", "3"]
    assert page.waterfall.rows[page.at or 0].address == "4"


def test_a_page_begins_with_the_rows_that_have_it_inside() -> None:
    trace = found([span("1"), span("2", "1", timestamp=at(0))], lines_of(1000, "2"))
    pages = [page_of(trace, {"page": str(number)}) for number in (1, 2, 3)]
    assert [one.pages for one in pages] == [3, 3, 3]
    assert [context(one) for one in pages] == [[], ["1", "2"], ["1", "2"]]
    assert [len(addresses(one)) for one in pages] == [ROWS, ROWS, 202]
    assert addresses(pages[1])[0] == f"line {ROWS - 2}"
    assert all(one.is_open and one.holds for one in opened(pages[1]) if one.is_context)
    assert told(pages[2]).endswith("line 999 ) ) ")


def test_a_row_whose_inside_is_on_the_next_page_says_that_it_holds_it() -> None:
    trace = found([span("1"), span("2", "1", timestamp=at(900))], [*lines_of(ROWS - 2), line("inside", 901, "2")])
    first = opened(page_of(trace, {"page": "1"}))
    assert (first[-1].row.address, first[-1].holds) == ("2", True)
    assert told(page_of(trace, {"page": "2"})) == "1 (2 (inside ) ) "


def test_the_page_is_the_one_of_the_error_of_a_row_or_of_a_number() -> None:
    lines = lines_of(1000)
    lines[500] |= {"log": {"level": "ERROR"}}
    trace = found([span("1")], lines)
    assert page_of(trace).page == 2
    assert page_of(trace, {"at": "line 999"}).page == 3
    assert page_of(trace, {"at": "line 999", "page": "1"}).page == 1
    assert page_of(trace, {"at": "nowhere"}).page == 2
    assert [page_of(trace, {"page": given}).page for given in ("0", "-1", "x", "9", "9" * 50, "")] == [1, 1, 1, 3, 1, 2]
    # Of the rows that a filter leaves, too.
    assert page_of(trace, {"at": "line 900", "text": "line 9"}).page == 1
    assert page_of(trace, {"at": "line 1", "text": "line 9"}).page == 1
    assert page_of(found([span("1")], lines_of(1000))).page == 1


def test_bars_lie_where_their_records_lie_in_time() -> None:
    trace = found(
        [
            span("1", duration=100_000),
            span("2", "1", timestamp=at(50), duration=50_000),
            span("3", "1", timestamp=None),
        ],
        [line("middle", 25, "1"), line("end", 100, "1"), line("never", 1, "1") | {"@timestamp": "never"}],
    )
    bars = {one.row.address: one.bar for one in opened(page_of(trace))}
    assert {address: (bar.x, bar.width) for address, bar in bars.items() if bar} == {
        "1": (0, 1000),
        "2": (500, 500),
        "middle": (250, 2),
        "end": (998, 2),
    }
    assert [one.bar for one in opened(page_of(found([], [line("alone")])))] == [None]


def test_what_is_missing_or_was_changed_is_said() -> None:
    assert page_of(found([span("1")])).notes() == []
    orphans = [span("1"), span("2", "8"), span("3", "9")]
    (said,) = page_of(found(orphans)).notes()
    assert said.startswith("2 spans without their callers")
    assert page_of(found(orphans[:2])).notes()[0].startswith("1 span without")
    (said,) = page_of(found([], [line("alone")])).notes()
    assert said.startswith("Only log lines")
    (said,) = page_of(found([span("1")], limit=20_000)).notes()
    assert said == "Only the first 20,000 spans and 20,000 log lines are shown."


def test_parts_and_how_late_they_came_are_said() -> None:
    def of_parts(*closed: object) -> list[str]:
        parts = [part() | {"trace": {"closed": one}} for one in closed]
        return page_of(found([span("1")], parts=parts)).notes()

    assert of_parts(START // 1000) == []
    assert of_parts(1000, 64_000, 2000) == [
        "It came in 3 parts, the last one 63.00 s after the first: records that came late."
    ]
    assert of_parts(None, "never") == ["It came in 2 parts: records that came late."]


def test_a_corrected_clock_is_said() -> None:
    server = span("2", "1", kind="SERVER", timestamp=at(-500), **PAY)
    (said,) = page_of(found([span("1", kind="CLIENT"), server])).notes()
    assert said.startswith("The clock of pay was moved forward by up to 500 ms:")


@pytest.mark.parametrize(
    ("parts", "lines", "later", "settled"),
    [
        ([part(), part()], [], 10_000, False),
        ([part(), part()], [], 10_001, True),
        # Lines may be visible before their part.
        ([], [line("early")], 60_000, False),
        ([], [line("early")], 60_002, True),
        ([part() | {"trace": {}}, {"_id": "x"}], [line("early")], 60_002, True),
    ],
)
def test_a_trace_is_settled_some_time_after_its_last_part_or_its_lines(
    parts: list[dict[str, Any]],
    lines: list[dict[str, Any]],
    later: int,
    *,
    settled: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = page_of(found([], lines, parts=parts))
    monkeypatch.setattr(shown, "now_ms", lambda: START // 1000 + later)
    assert page.is_settled is settled


@st.composite
def trees(draw: st.DrawFn) -> FoundTrace:
    """Make a trace of any shape; some hundred lines are in one of its spans."""
    number = draw(st.integers(1, 12))
    spans = []
    for one in range(number):
        above = draw(st.none() | st.integers(0, number - 1))
        made = span(
            f"{one}",
            None if above is None else f"{above}",
            timestamp=START + draw(st.integers(0, 9)),
            localEndpoint={"serviceName": draw(st.sampled_from("ab"))},
            tags=draw(st.sampled_from([{}, {"error": "gone"}])),
        )
        spans.append(made)
    lines = [
        line(
            f"line {one}",
            0,
            draw(st.sampled_from([f"{number - 1}", "0", None])) if one < 5 else "0",
            log={"level": "ERROR" if one % 7 == 0 else "INFO"},
            service={"name": "ab"[one % 2]},
        )
        for one in range(draw(st.sampled_from([0, 3, 20])))
    ]
    return found(spans, lines)


FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "service": st.sampled_from("abc"),
        "level": st.sampled_from(["ERROR", "INFO"]),
        "text": st.sampled_from(["line 1", "op 1", "gone", "nowhere"]),
        "at": st.sampled_from(["line 3", "1", "nowhere"]),
    },
)


@given(trees(), FILTERS, st.integers(1, 7))
def test_every_row_is_on_one_page_balanced_and_below_what_holds_it(
    trace: FoundTrace, query: dict[str, str], rows: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trace_page, "ROWS", rows)
        _check_pages(trace, query)


def _check_pages(trace: FoundTrace, query: dict[str, str]) -> None:
    waterfall = Waterfall.of(trace)
    wanted = TraceFilter.of(query)
    first = TracePage.of(trace, waterfall, wanted)
    kept = [number for number, row in enumerate(waterfall.rows) if wanted.takes(row)]
    expected = sorted({*kept, *(above for number in kept for above in waterfall.ancestors(number))})
    listed: list[int] = []
    for number in range(1, first.pages + 1):
        page = TracePage.of(trace, waterfall, TraceFilter.of(query | {"page": f"{number}"}))
        tokens = list(page.rows())
        _check_nesting(page, tokens)
        here = [one.number for one in tokens if one is not None]
        listed += [one for one in here if not listed or one > listed[-1]]
    assert listed == expected
    if first.at in expected:
        assert first.at in [one.number for one in first.rows() if one is not None]


def _check_nesting(page: TracePage, tokens: Sequence[Opened | None]) -> None:
    """Check that each row is inside exactly the rows that hold it."""
    holding: list[int] = []
    for one in tokens:
        if one is None:
            holding.pop()
            continue
        assert holding == page.waterfall.ancestors(one.number)
        if one.holds:
            holding.append(one.number)
    assert holding == []
