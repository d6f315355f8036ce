"""Times of log lines, in any form."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.formats.invalid_input import InvalidInput
from pipeline.formats.times import is_date, may_be_time, parse_time

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
        "2023-01-29 09:22:08.552459 UTC",
        "2023-01-29T09:22:08.552459 +0000",
        "2023-01-29 04:22:08.552459 -05:00",
        "2023-01-29T10:22:08.552459+01:00[Europe/Berlin]",
        "2023-01-29T10:22:08.552459 Europe/Berlin",
        "2023-01-29T09:22:08.552459Z[UTC]",
        "2023-01-29t09:22:08.552459z",
        "2023/01/29 09:22:08.552459",
        "2023-01-29 09:22:08 552459",
        "2023-01-29 09:22:08:552459",
        "2023-01-29T09:22:08.5524590Z",
        "[2023-01-29 09:22:08.552459]",
        "20230129092208.552459",
        "29/Jan/2023:09:22:08.552459 +0000",
        "29-Jan-2023 09:22:08.552459",
        "29 Jan 2023 09:22:08,552459",
        "Sun, 29 Jan 2023 09:22:08.552459 GMT",
        "Sun Jan 29 09:22:08.552459 2023",
        "Jan 29, 2023 9:22:08.552459 AM",
        "Jan 29, 2023, 09:22:08.552459",
        "29.01.2023 09:22:08,552459",
        "01/29/2023 09:22:08.552459",
        "29-01-2023 09:22:08.552459",
        "20230129 09:22:08.552459",
        "29 January 2023 09:22:08.552459",
        "2023-01-29 09:22:08.552459 +0000 UTC m=+0.000123",
        "1674984128,552459",
        "29/01/2023 09:22:08.552459",
        {"seconds": 1_674_984_128, "nanos": 552_459_062},
        {"epochSecond": 1_674_984_128, "nanoOfSecond": 552_459_062},
        {"$date": "2023-01-29T09:22:08.552459Z"},
        {"date": "2023-01-29 09:22:08.552459", "timezone_type": 3, "timezone": "UTC"},
        {"date": "2023-01-29 10:22:08.552459", "timezone_type": 3, "timezone": "Europe/Berlin"},
        {"date": "2023-01-29 08:22:08.552459", "timezone_type": 1, "timezone": "-01:00"},
        {"repr": "2023-01-29 09:22:08.552459+00:00", "timestamp": 1_674_984_128.552459},
    ],
)
def test_forms_of_one_moment_give_the_same_microseconds(value: object) -> None:
    assert parse_time(value) == MICROSECONDS


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1_674_984_128, 1_674_984_128_000_000),
        (1_674_984_128_552, 1_674_984_128_552_000),
        ("20230129", 1_674_950_400_000_000),
        ("2023-01-29", 1_674_950_400_000_000),
        ("1970-01-01T00:00:00Z", 0),
        ("29/Jan/2023:09:22:08 +0000", 1_674_984_128_000_000),
        ("20230129092208", 1_674_984_128_000_000),
        ("/Date(1674984128552)/", 1_674_984_128_552_000),
        ({"$date": {"$numberLong": "1674984128552"}}, 1_674_984_128_552_000),
        ("2023-01-29 09:22", 1_674_984_120_000_000),
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
        0,
        0.023,
        23,
        "2023",
        "2026-W47",
        638_105_881_285_524_590,  # ticks of .NET
        "Jan 29 09:22:08.123",
        "01/02/2023 09:22:08",
        "2023-01-29 09:22:08 EST",
        "2023-13-29 09:22:08",
        "2023-01-29 09:22:08 Mars/Olympus",
        "2023-01-29T09:22:08[..]",
        "x" * 100_000,
        {"seconds": "soon"},
        {"$date": {"$date": {}}},
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


@pytest.mark.parametrize("value", ["12.5ms", "3s", "", "0.023", 23, 0.5, None, True, []])
def test_a_duration_or_a_count_is_no_attempt_to_write_a_time(value: object) -> None:
    assert not may_be_time(value)


@pytest.mark.parametrize("value", ["yesterday", "Jan 29 09:22:08", {"seconds": "soon"}])
def test_an_unreadable_time_is_an_attempt(value: object) -> None:
    assert may_be_time(value)


@pytest.mark.parametrize(
    ("text", "expected"), [("2023-01-29", True), ("20230129", True), ("09:22:08.1", False), ("2023-01-2x", False)]
)
def test_a_date_alone_is_known(text: str, expected: bool) -> None:  # noqa: FBT001 - a table's column
    assert is_date(text) is expected


_FORMS = (
    "%Y-%m-%dT%H:%M:%S.%f%z",
    "%Y-%m-%d %H:%M:%S,%f %z",
    "%Y/%m/%d %H:%M:%S.%f %z",
    "%d/%b/%Y:%H:%M:%S.%f %z",
    "%d-%b-%Y %H:%M:%S.%f %z",
    "%b %d, %Y %I:%M:%S.%f %p %z",
    "%a, %d %b %Y %H:%M:%S.%f %z",
    "%d.%m.%Y %H:%M:%S,%f %z",
)


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)),  # noqa: DTZ001 - the zone is drawn apart
    st.integers(-14 * 60, 14 * 60),
    st.sampled_from(_FORMS),
)
def test_a_time_is_read_back_from_any_form(naive: datetime, minutes: int, form: str) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    expected = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert parse_time(moment.strftime(form)) == expected


def _may_be_date(digits: str) -> bool:
    """Tell whether digits could be a date and a time since 1970, which counts before a number."""
    try:
        return datetime.strptime(digits[:14], "%Y%m%d%H%M%S").year in range(1970, 2100)  # noqa: DTZ007 - the year alone
    except ValueError:
        return False


@given(st.integers(10**15, 10**16).filter(lambda micros: not _may_be_date(str(micros))))
@example(1_945_033_017_250_000)  # 1945-03-30 17:25:00
def test_a_number_is_read_back_in_any_unit(micros: int) -> None:
    assert parse_time(micros) == parse_time(str(micros)) == parse_time(micros * 1000) == micros
    assert parse_time(micros // 1000) == micros // 1000 * 1000
    assert parse_time(micros // 10**6) == micros // 10**6 * 10**6
