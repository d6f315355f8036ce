"""Times of log lines, however they are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats.invalid_input import InvalidInput
from pipeline.formats.times import parse_time

MICROSECONDS = 1_674_984_128_552_459


@pytest.mark.parametrize(
    "value",
    [
        "2023-01-29T09:22:08.552459062Z",
        "2023-01-29T09:22:08.552459Z",
        "2023-01-29T17:22:08.552459+08:00",
        "2023-01-29 09:22:08,552459",
        "20230129T092208.552459Z",
        1_674_984_128.552459,
        "1674984128.552459",
        1_674_984_128_552.459,
        1_674_984_128_552_459,
        "1674984128552459",
        1_674_984_128_552_459_062,
    ],
)
def test_forms_of_one_moment_give_the_same_microseconds(value: object) -> None:
    assert parse_time(value) == MICROSECONDS


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (1_674_984_128, 1_674_984_128_000_000),
        (1_674_984_128_552, 1_674_984_128_552_000),
        ("20230129", 1_674_950_400_000_000),
        ("2023-01-29", 1_674_950_400_000_000),
        ("1970-01-01T00:00:00Z", 0),
    ],
)
def test_units_are_told_by_the_magnitude(value: object, expected: int) -> None:
    assert parse_time(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "12:30",
        True,
        [],
        {},
        -1,
        "-5",
        "1969-12-31T23:59:59Z",
        10**25,
        "1e999999",
        "-1e999999",
        "nan",
        "inf",
    ],
)
def test_what_is_no_time_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_time(value)
    assert refused.value.reason == "time"


@given(st.text() | st.integers() | st.floats() | st.from_regex(r"[-+]?[0-9.eE:TZ+ -]{1,30}", fullmatch=True))
def test_anything_is_a_time_within_64_bits_or_refused(value: object) -> None:
    try:
        assert 0 <= parse_time(value) < 2**63
    except InvalidInput:
        return
