"""The windows of the join over time: which record holds when, and where a range is cut."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.join_windows import BEFORE, JoinWindows, Period, Recorded, history, others, periods, under
from tracelink.errors import InvalidRecord

SHORT = JoinWindows(idle_gap=2000, max_age=60_000, root_grace=0, max_records=20_000, max_bytes=4_000_000)
LONG = replace(SHORT, idle_gap=30_000, root_grace=6000)

windows = st.sampled_from([SHORT, LONG, BEFORE])
records = st.lists(st.builds(Recorded, st.integers(0, 20), st.integers(1, 1000), windows), max_size=6)


@given(records)
def test_a_record_is_read_as_it_was_written(found: list[Recorded]) -> None:
    assert [Recorded.decode(one.encode()) for one in found] == found


def test_what_is_no_record_is_refused() -> None:
    with pytest.raises(InvalidRecord):
        Recorded.decode(b"no record")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], []),
        ([Recorded(10, 12, SHORT), Recorded(20, 21, LONG)], [(10, SHORT), (20, LONG)]),
        # The topic gives them in no order.
        ([Recorded(20, 21, LONG), Recorded(10, 12, SHORT)], [(10, SHORT), (20, LONG)]),
        # Two starts at the same place: the last one joins all from there on.
        ([Recorded(10, 12, SHORT), Recorded(10, 13, LONG)], [(10, LONG)]),
        # The offsets were set back: all from there on is joined again.
        ([Recorded(10, 12, SHORT), Recorded(20, 21, LONG), Recorded(5, 30, SHORT)], [(5, SHORT)]),
    ],
)
def test_a_later_record_holds_from_its_stream_time_on(
    found: list[Recorded], expected: list[tuple[int, JoinWindows]]
) -> None:
    assert [(one.since, one.windows) for one in history(found)] == expected


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        (0, 10, [Period(0, 10, BEFORE, is_recorded=False)]),
        (0, 11, [Period(0, 10, BEFORE, is_recorded=False), Period(10, 11, SHORT)]),
        (10, 20, [Period(10, 20, SHORT)]),
        (12, 15, [Period(12, 15, SHORT)]),
        (12, 25, [Period(12, 20, SHORT), Period(20, 25, LONG)]),
        (20, 25, [Period(20, 25, LONG)]),
        (40, 50, [Period(40, 50, LONG)]),
    ],
)
def test_a_range_is_cut_where_the_windows_changed(begin: int, end: int, expected: list[Period]) -> None:
    assert periods([Recorded(10, 12, SHORT), Recorded(20, 21, LONG)], begin, end) == expected


@given(records, st.integers(0, 25), st.integers(1, 25))
def test_periods_cover_the_range_once_and_each_time_has_the_windows_of_the_record_before_it(
    found: list[Recorded], begin: int, length: int
) -> None:
    kept = history(found)
    cut = periods(kept, begin, begin + length)
    assert (cut[0].begin, cut[-1].end) == (begin, begin + length)
    assert all(one.end == after.begin and one[2:] != after[2:] for one, after in pairwise(cut))
    for time in range(begin, begin + length):
        (mine,) = [one for one in cut if one.begin <= time < one.end]
        before = [one.windows for one in kept if one.since <= time]
        assert (mine.windows, mine.is_recorded) == ((before[-1], True) if before else (BEFORE, False))


def test_given_values_replace_those_of_each_period_and_merge_what_they_make_equal() -> None:
    found = [Period(0, 10, SHORT), Period(10, 20, LONG)]
    assert under(found, {"idle_gap": 7000, "root_grace": 0}) == [Period(0, 20, replace(SHORT, idle_gap=7000))]
    assert under(found, {}) == found


def test_values_that_are_the_same_are_no_others() -> None:
    assert others(SHORT, {"idle_gap": 2000}) == {}
    assert others(SHORT, {"idle_gap": 2000, "max_age": 1}) == {"max_age": 1}
