"""Traces followed over an edge: as far as they go on without a gap that is too long, and no farther."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from streams.replay.trace_extents import TraceExtents

GAP = 10
KEYS = st.sampled_from([b"a", b"b", b"c"])
# About the gap's own length, so that pauses of just that length, and longer ones, are many.
INSIDE = st.lists(st.tuples(st.integers(-3 * GAP, 0), KEYS), max_size=8)
OUTSIDE = st.lists(st.tuples(st.integers(1, 8 * GAP), KEYS), max_size=20)


def last_reached(times: list[int]) -> int | None:
    """Return how far a trace goes on beyond the edge, if it has records on both sides and no gap between them."""
    reach = max((time for time in times if time <= 0), default=None)
    beyond = None
    for time in sorted(time for time in times if time > 0):
        if reach is None or time - reach > GAP:
            break
        reach = beyond = time
    return beyond


def followed(inside: list[tuple[int, bytes]], *steps: list[tuple[int, bytes]]) -> TraceExtents:
    extents = TraceExtents(GAP)
    extents.inside(inside)
    for step in steps:
        extents.outside(step)
    return extents


@given(INSIDE, OUTSIDE)
def test_each_trace_of_the_range_is_followed_to_its_first_gap_that_is_too_long(
    inside: list[tuple[int, bytes]], outside: list[tuple[int, bytes]]
) -> None:
    extents = followed(inside, sorted(outside))
    expected: dict[bytes, int] = {}
    for key in {key for _, key in inside}:
        beyond = last_reached([time for time, one in inside + outside if one == key])
        expected |= {} if beyond is None else {key: beyond}
    assert extents.beyond == expected


@given(INSIDE, OUTSIDE, st.lists(st.integers(0, 20), max_size=4))
def test_steps_find_what_one_look_finds(
    inside: list[tuple[int, bytes]], outside: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    records = sorted(outside)
    at = [0, *sorted(cuts), len(records)]
    extents = followed(inside, *(records[start:end] for start, end in pairwise(at)))
    assert extents.beyond == followed(inside, records).beyond


@given(INSIDE, OUTSIDE, st.integers(0, 12 * GAP))
def test_it_goes_on_where_a_record_there_would_belong_to_a_trace(
    inside: list[tuple[int, bytes]], outside: list[tuple[int, bytes]], distance: int
) -> None:
    near = sorted(record for record in outside if record[0] <= distance)
    extents = followed(inside, near)
    would = {key for key in (b"a", b"b", b"c") if followed(inside, near, [(distance, key)]).beyond.get(key) == distance}
    assert extents.go_on(distance) == bool(extents.reaching(distance))
    assert would <= extents.reaching(distance)
    assert {key for key in extents.reaching(distance) if distance > 0} <= would


def test_a_clock_that_steps_back_does_not_shorten_a_trace() -> None:
    extents = followed([(-1, b"a")], [(-3, b"a"), (GAP - 1, b"a")])
    assert extents.beyond == {b"a": GAP - 1}


def test_it_knows_the_traces_of_the_range() -> None:
    extents = followed([(-1, b"a")], [(1, b"b")])
    assert b"a" in extents
    assert b"b" not in extents
