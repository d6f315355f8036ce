"""Curves as their readers use them."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.trends import (
    CURVE,
    Curve,
    bounded,
    buckets,
    head_of,
    key_of,
    minutes_of,
    partition_in,
    summed,
)
from tracelink.errors import InvalidRecord

NEWEST = 29_850_000


def curve(counts: dict[int, int], *, partition: int = 0, offset: int = 7) -> Curve:
    minutes = sorted(counts, reverse=True)
    return {
        "offset": offset,
        "newest": minutes[0],
        "ages": [minutes[0] - minute for minute in minutes],
        "counts": [counts[minute] for minute in minutes],
        "kind": "service",
        "partition": partition,
        "name": "payment",
    }


def test_a_curve_is_the_same_after_its_way_through_kafka() -> None:
    found = curve({NEWEST: 3, NEWEST - 5: 1})
    assert CURVE.decode(CURVE.encode(found)) == found
    assert minutes_of(found) == {NEWEST: 3, NEWEST - 5: 1}


@given(offset=st.integers(0, 2**62), newest=st.integers(0, 2**40))
def test_its_head_is_read_without_the_rest(offset: int, newest: int) -> None:
    assert head_of(CURVE.encode(curve({newest: 1}, offset=offset))) == (offset, newest)


@pytest.mark.parametrize("message", [b"", b"?", CURVE.header, CURVE.header + b"\x80", CURVE.header + b"\x02\xff"])
def test_a_head_that_is_cut_off_or_foreign_is_invalid(message: bytes) -> None:
    with pytest.raises(InvalidRecord):
        head_of(message)


@given(
    kind=st.sampled_from(["fingerprint", "service", "reason"]),
    partition=st.integers(0, 10_000),
    name=st.text("a|é\ud800"),
)
def test_a_key_says_its_partition(kind: str, partition: int, name: str) -> None:
    assert partition_in(key_of(kind, partition, name)) == partition  # type: ignore[arg-type]  # Hypothesis gives a str


@pytest.mark.parametrize("key", [b"", b"service", b"service|1", b"service|x|payment", b"service||payment"])
def test_another_key_is_invalid(key: bytes) -> None:
    with pytest.raises(InvalidRecord):
        partition_in(key)


def test_a_long_name_is_truncated() -> None:
    assert len(bounded("x" * 1_000)) == 256


def test_the_curves_of_all_partitions_are_added_up() -> None:
    both = [curve({10: 1, 12: 2}), curve({9: 5, 12: 1}, partition=1)]
    assert list(summed(both).items()) == [(9, 5), (10, 1), (12, 3)]
    assert summed([]) == {}


def test_buckets_divide_a_range_of_time() -> None:
    minutes = {9: 7, 10: 1, 14: 2, 15: 4, 19: 8, 20: 7}
    assert buckets(minutes, 10, 20, 2) == [3, 12]
    assert buckets(minutes, 10, 20, 10) == [1, 0, 0, 0, 2, 4, 0, 0, 0, 8]
    assert buckets({}, 10, 20, 3) == [0, 0, 0]


@given(
    minutes=st.dictionaries(st.integers(0, 200), st.integers(1, 9)),
    start=st.integers(0, 100),
    length=st.integers(1, 100),
    number=st.integers(1, 60),
)
def test_buckets_lose_nothing_of_their_range(minutes: dict[int, int], start: int, length: int, number: int) -> None:
    found = buckets(minutes, start, start + length, number)
    assert len(found) == number
    inside = Counter({minute: count for minute, count in minutes.items() if start <= minute < start + length})
    assert sum(found) == inside.total()
