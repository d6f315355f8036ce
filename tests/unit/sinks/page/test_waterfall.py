"""A trace as rows: places, order, the row to look at first, and what is open."""

from collections.abc import Sequence
from math import inf
from typing import Any

import pytest
from hypothesis import given

from sinks.page.waterfall import Row, Waterfall
from tests.kit.page import at, failed, found, line, span
from tests.kit.traces import tangled_trace
from tracelink.model.records import Trace

DEEP = 5_000
"""Levels, far more than Python recurses."""


def waterfall(spans: Sequence[dict[str, Any]], lines: Sequence[dict[str, Any]] = ()) -> Waterfall:
    return Waterfall.of(found(spans, lines))


def told(made: Waterfall) -> list[str]:
    """Return the rows as their addresses, indented."""
    return [". " * row.depth + row.address for row in made.rows]


def opened(made: Waterfall) -> set[str]:
    return {row.address for row in made.rows if row.is_open}


def cause(made: Waterfall) -> str | None:
    return None if made.cause is None else made.rows[made.cause].address


def failing_line(message: str, milliseconds: float, span_id: str | None, **fields: object) -> dict[str, Any]:
    return line(message, milliseconds, span_id, log={"level": "ERROR"}, **fields)


def many(number: int = 100) -> list[dict[str, Any]]:
    return [line(f"line {one}", one, "1") for one in range(number)]


def test_spans_and_lines_are_inside_their_spans_in_the_order_of_time() -> None:
    made = waterfall(
        [
            span("2", "1", kind="CLIENT", timestamp=at(5)),
            span("1"),
            span("3", "2", timestamp=at(6), localEndpoint={"serviceName": "pay"}),
            span("4", "1", timestamp=at(12)),
        ],
        [
            line("last", 18, "1"),
            line("first", 1, "1"),
            line("of pay", 7, "3", service={"name": "pay"}),
            line("without a span", 11, service={"name": "cart"}),
            line("of an unknown span", 8, "99", service={"name": "pay"}),
            line("of nobody", 10, service={"name": "other"}),
        ],
    )
    assert told(made) == [
        "1",
        ". first",
        ". 2",
        ". . 3",
        ". . . of pay",
        ". . . of an unknown span",
        ". of nobody",
        ". without a span",
        ". 4",
        ". last",
    ]
    assert (made.begin, made.took) == (at(0), 32_000)
    assert [row.end for row in made.rows] == [10, 2, 6, 6, 5, 6, 7, 8, 9, 10]
    assert [made.ancestors(number) for number in (0, 4)] == [[], [0, 2, 3]]


def test_of_one_time_the_order_of_the_answer_is_kept() -> None:
    made = waterfall([span("1")], [line(message, 5, "1") for message in ("a", "b", "c")])
    assert told(made) == ["1", ". a", ". b", ". c"]
    alone = waterfall([], [line(message, 5) for message in ("a", "b", "c")])
    assert told(alone) == ["a", "b", "c"]


def test_records_without_a_time_are_last_and_have_no_length() -> None:
    made = waterfall(
        [span("1"), span("2", "1", timestamp=None, duration=None), span("3", "1", timestamp=at(1))],
        [line("never", 1, "1") | {"@timestamp": "never"}],
    )
    assert told(made) == ["1", ". 3", ". never", ". 2"]
    assert [row.start for row in made.rows[2:]] == [inf, inf]
    assert (made.begin, made.took) == (at(0), 21_000)
    timeless = waterfall([span("1", timestamp=None)])
    assert (timeless.begin, timeless.took) == (0, 0)


def test_a_further_record_with_the_same_id_has_an_address_of_its_own() -> None:
    made = waterfall([span("1", kind="CLIENT"), span("1", kind="SERVER", shared=True)], [line("1"), line("1")])
    assert sorted(row.address for row in made.rows) == ["1", "1~2", "1~3", "1~4"]
    assert [made.number_of(row.address) for row in made.rows] == [0, 1, 2, 3]
    assert made.number_of("2") is None


def test_cycles_and_missing_callers_end_and_are_counted() -> None:
    made = waterfall([span("1", "2"), span("2", "1"), span("3", "3"), span("4", "9"), span("5")])
    assert sorted(told(made)) == ["1", "2", "3", "4", "5"]
    assert made.missing_parents == 4


def test_a_slow_clock_moves_its_spans_and_their_lines() -> None:
    made = waterfall(
        [
            span("1", kind="CLIENT", duration=20_000),
            span("2", "1", kind="SERVER", timestamp=at(-500), duration=10_000, localEndpoint={"serviceName": "pay"}),
        ],
        [line("theirs", -499, "2", service={"name": "pay"}), line("ours", 1, "1")],
    )
    assert [(row.address, row.start) for row in made.rows] == [
        ("1", at(0)),
        ("ours", at(1)),
        ("2", at(5)),
        ("theirs", at(6)),
    ]
    assert made.skews == {"pay": -505_000}
    assert made.begin == at(0)


def test_the_error_began_in_the_deepest_failed_span() -> None:
    made = waterfall([failed("1"), failed("2", "1"), failed("3", "2"), span("4", "3")])
    assert cause(made) == "3"
    assert [row.is_cause for row in made.rows] == [False, False, True, False]
    assert [row.errors_inside for row in made.rows] == [2, 1, 0, 0]
    assert cause(waterfall([span("1")], many())) is None


def test_the_line_that_tells_of_the_error_is_looked_at_first() -> None:
    spans = [failed("1"), failed("2", "1"), span("3", "2"), span("4", "2", localEndpoint={"serviceName": "pay"})]
    lines = [
        failing_line("of the caller", 1, "1", error={"type": "KeyError"}),
        failing_line("without an exception", 2, "2"),
        failing_line("with an exception", 4, "3", error={"type": "ValueError"}),
        failing_line("of another service", 3, "4", service={"name": "pay"}, error={"type": "OSError"}),
        failing_line("a later one", 5, "2", error={"type": "ValueError"}),
    ]
    made = waterfall(spans, lines)
    assert cause(made) == "with an exception"
    assert [row.address for row in made.rows if row.is_cause] == ["2", "with an exception"]
    assert cause(waterfall(spans, lines[:2])) == "without an exception"
    assert cause(waterfall(spans, lines[:1])) == "2"


def test_without_a_failed_span_the_first_errored_line_is_looked_at() -> None:
    assert cause(waterfall([span("1")], [failing_line("later", 3, "1"), failing_line("first", 2, "1")])) == "first"
    assert cause(waterfall([], [failing_line("alone", 2, None)])) == "alone"


def test_few_rows_are_open_all_and_of_many_the_path_to_the_error() -> None:
    spans = [span("1"), span("2", "1"), failed("3", "2"), span("4", "3"), span("5", "1"), span("6", "5")]
    assert opened(waterfall(spans, many(19))) == {"1", "2", "3", "4", "5", "6", *(f"line {one}" for one in range(19))}
    assert opened(waterfall(spans, many(20))) == {"1", "2", "3"}


def test_of_many_rows_without_an_error_the_first_levels_are_open() -> None:
    made = waterfall([span("1"), span("2", "1"), span("3", "2"), span("4", "3")], many())
    assert {one for one in opened(made) if "line" not in one} == {"1", "2"}


@pytest.mark.parametrize("kept", [range(DEEP), range(DEEP - 1, -1, -1)])
def test_a_trace_deeper_than_python_recurses_is_a_path(kept: range) -> None:
    spans = [
        (failed if number == DEEP - 1 else span)(f"{number:x}", f"{number - 1:x}" if number else None)
        for number in kept
    ]
    made = waterfall(spans, [line("at its end", 1, f"{DEEP - 1:x}")])
    assert made.rows[-1].depth == DEEP
    assert made.cause == DEEP - 1
    assert len(made.ancestors(DEEP)) == DEEP
    assert sum(row.is_open for row in made.rows) == DEEP


@given(tangled_trace())
def test_every_record_is_one_row_inside_the_rows_that_say_so(trace: Trace) -> None:
    lines = [line(one["id"], 1, one.get("spanId")) for one in trace["logs"]]
    made = waterfall([_document(dict(one)) for one in trace["spans"]], lines)
    assert sum(row.line is not None for row in made.rows) == len(trace["logs"])
    ids = {one["id"] for one in trace["spans"]}
    assert {row.node.span["id"] for row in made.rows if row.node} == ids
    assert len({row.address for row in made.rows}) == len(made.rows)
    for number, row in enumerate(made.rows):
        _check_row(made.rows, number, row)


def _check_row(rows: Sequence[Row], number: int, row: Row) -> None:
    inside = range(number + 1, row.end)
    assert row.depth == (0 if row.parent is None else rows[row.parent].depth + 1)
    assert all(rows[one].depth > row.depth for one in inside)
    assert row.end == len(rows) or rows[row.end].depth <= row.depth
    assert row.errors_inside == sum(rows[one].errored for one in inside)
    assert row.start == inf or isinstance(row.start, int | float)


def _document(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if value} | {"traceId": "a" * 32}
