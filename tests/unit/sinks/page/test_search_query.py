"""The search: from the fields of an address to the query of Elasticsearch, and from its answer to rows."""

from math import inf
from typing import Any

import pytest

from sinks.page.search_query import (
    MOST_LINES,
    ROWS,
    Bucket,
    SearchFilter,
    buckets_of,
    line_query,
    result_of,
    step_of,
    trace_query,
)
from tests.kit.page import TRACE, at, line, part
from tests.kit.sink_examples import START
from tracelink.errors import UserError

NOW = START // 1000
HOUR = 3_600_000


def wanted(**query: str) -> SearchFilter:
    return SearchFilter.of({name.rstrip("_"): value for name, value in query.items()}, NOW)


def filters(search: SearchFilter) -> list[dict[str, Any]]:
    """Return the filters of the search in parts, without the range of time."""
    found: list[dict[str, Any]] = trace_query(search)["query"]["bool"]["filter"]
    return found[1:]


def test_without_fields_it_finds_the_newest_traces_of_the_last_hour() -> None:
    search = wanted()
    assert (search.begin, search.end) == (NOW - HOUR, NOW)
    query = trace_query(search)
    assert query["query"]["bool"]["filter"] == [
        {"range": {"@timestamp": {"gte": "2025-12-31T23:00:00.000Z", "lt": "2026-01-01T00:00:00.000Z"}}}
    ]
    assert query["sort"] == [{"@timestamp": {"order": "desc", "unmapped_type": "date_nanos"}}]
    assert query["collapse"] == {"field": "trace.id"}
    assert (query["from"], query["size"]) == (0, ROWS + 1)
    assert query["timeout"] == "5s"
    assert not search.narrows_parts
    assert search.new_fields == []


@pytest.mark.parametrize(
    ("query", "narrowed"),
    [
        ({"service": " cart "}, {"term": {"service.name": "cart"}}),
        ({"operation": "get /cart"}, {"term": {"operations": "get /cart"}}),
        ({"tag": "http.method=POST"}, {"term": {"tags.http.method": "POST"}}),
        ({"tag": " a = b=c "}, {"term": {"tags.a": "b=c"}}),
        ({"errored": "1"}, {"term": {"trace.errored": True}}),
        ({"min": "5"}, {"range": {"trace.duration.us": {"gte": 5_000}}}),
        ({"max": "7"}, {"range": {"trace.duration.us": {"lte": 7_000}}}),
        ({"min": "5", "max": "7"}, {"range": {"trace.duration.us": {"gte": 5_000, "lte": 7_000}}}),
    ],
)
def test_each_field_narrows_the_search(query: dict[str, str], narrowed: dict[str, Any]) -> None:
    search = wanted(**query)
    assert filters(search) == [narrowed]
    assert search.narrows_parts


def test_fields_that_older_documents_do_not_have_are_named() -> None:
    assert wanted(operation="x").new_fields == ["operations"]
    assert wanted(tag="a=b", operation="x").new_fields == ["operations", "tags"]


def test_anything_but_one_is_not_only_errored() -> None:
    assert filters(wanted(errored="0")) == filters(wanted(errored="")) == []


def test_words_are_looked_for_in_the_lines_of_traces() -> None:
    search = wanted(text='"no such item" card')
    query = line_query(search)
    said = query["query"]["bool"]["must"][0]["simple_query_string"]
    assert (said["query"], said["default_operator"]) == ('"no such item" card', "and")
    assert said["fields"] == ["message", "error.message", "error.type", "error.stack_trace"]
    assert {"exists": {"field": "trace.id"}} in query["query"]["bool"]["filter"]
    assert query["size"] == MOST_LINES
    assert not search.narrows_parts


def test_the_parts_of_lines_are_found_whenever_they_began() -> None:
    query = trace_query(wanted(text="x", service="cart", page="3"), ["a", "b"])
    assert query["query"]["bool"]["filter"] == [{"terms": {"trace.id": ["a", "b"]}}, {"term": {"service.name": "cart"}}]
    assert (query["from"], query["size"]) == (0, 2)
    # Elasticsearch refuses to count parts of another century in steps of a second.
    assert "aggs" not in query


def test_pages_follow_each_other_up_to_the_last_one() -> None:
    assert trace_query(wanted(page="3"))["from"] == 2 * ROWS
    assert trace_query(wanted(page="99999"))["from"] == 99 * ROWS
    assert trace_query(wanted(page="x"))["from"] == 0


@pytest.mark.parametrize(
    ("since", "until", "begin", "end"),
    [
        ("15m", "", NOW - 900_000, NOW),
        ("2d", "1d", NOW - 48 * HOUR, NOW - 24 * HOUR),
        ("2025-12-31T22:00", "2025-12-31T23:00Z", NOW - 2 * HOUR, NOW - HOUR),
        ("2025-12-31T23:00+01:00", "now", NOW - 2 * HOUR, NOW),
    ],
)
def test_a_time_is_an_age_or_an_instant(since: str, until: str, begin: int, end: int) -> None:
    search = SearchFilter.of({"from": since, "to": until}, NOW)
    assert (search.begin, search.end) == (begin, end)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"from": "yesterday"}, "'from': 'yesterday' is no time: write 15m"),
        ({"to": "s3-4711"}, "'to': 's3-4711' is no time"),
        ({"from": "9" * 400 + "d"}, "is no time"),
        ({"from": "1h", "to": "2h"}, "The time range is empty"),
        ({"from": "now"}, "The time range is empty"),
        ({"min": "fast"}, "'min': 'fast' is no duration: write whole milliseconds"),
        ({"max": "-1"}, "'max': '-1' is no duration"),
        ({"max": "1" * 10}, "is no duration"),
        ({"min": "٣"}, "is no duration"),
        ({"tag": "http.method"}, "'http.method' is not a tag: write NAME=VALUE"),
        ({"tag": "http.method="}, "is not a tag"),
        ({"tag": "=POST"}, "'=POST' is not a tag"),
        ({"tag": " =POST"}, "is not a tag"),
        ({"tag": "a= "}, "'a=' is not a tag"),
    ],
)
def test_a_field_that_makes_no_sense_is_named(query: dict[str, str], said: str) -> None:
    with pytest.raises(UserError) as error:
        SearchFilter.of(query, NOW)
    assert said in error.value.message


@pytest.mark.parametrize("year", ["0001", "1900", "1969", "2263", "9999"])
def test_a_time_that_elasticsearch_has_no_date_for_is_refused(year: str) -> None:
    with pytest.raises(UserError, match="1970"):
        SearchFilter.of({"from": f"{year}-01-01", "to": f"{year}-12-31"}, NOW)


def test_a_long_field_is_cut() -> None:
    assert len(wanted(text="x" * 10_000, service="y" * 10_000).text) == 500


@pytest.mark.parametrize(
    ("since", "step"), [("1s", 1_000), ("60s", 1_000), ("61s", 2_000), ("1h", 60_000), ("1d", 1_440_000)]
)
def test_a_histogram_has_at_most_sixty_steps_of_whole_seconds(since: str, step: int) -> None:
    search = SearchFilter.of({"from": since}, NOW)
    assert step_of(search) == step
    over_time = trace_query(search)["aggs"]["over_time"]["date_histogram"]
    assert over_time["fixed_interval"] == f"{step // 1000}s"
    assert over_time["extended_bounds"] == {"min": search.begin, "max": search.end - 1}


def test_a_part_is_a_row_with_its_root_and_its_error() -> None:
    found = part(error={"service": "cart", "type": "KeyError", "message": "no such item"})
    found["trace"] |= {"errored": True, "log_count": 3, "span_count": 2}
    result = result_of(found)
    assert (result.trace_id, result.start, result.duration) == (TRACE.hex(), START, 20_000)
    assert (result.errored, result.root, result.services) == (True, "cart get /cart", ["cart"])
    assert (result.spans, result.lines) == (2, 3)
    assert (result.said, result.at) == ("KeyError: no such item", "")


def test_a_line_is_what_a_row_says_and_leads_to() -> None:
    both = result_of(part(error={"message": "no such item"}), line("hello"))
    assert (both.said, both.at, both.root) == ("hello", "hello", "cart get /cart")
    alone = result_of(None, line("hello", 5))
    assert (alone.trace_id, alone.start, alone.duration) == (TRACE.hex(), at(5), None)
    assert (alone.services, alone.spans, alone.lines) == (["cart"], 0, 0)


def test_a_bare_document_is_a_row_all_the_same() -> None:
    bare = result_of({"trace": {"id": "a1"}})
    assert (bare.trace_id, bare.start, bare.duration, bare.root, bare.services) == ("a1", inf, 0, "", [])


def test_buckets_are_read_from_an_answer_that_has_them() -> None:
    answer = {"aggregations": {"over_time": {"buckets": [{"key": 5, "doc_count": 3, "errored": {"doc_count": 1}}]}}}
    assert buckets_of(answer) == [Bucket(5, 3, 1)]
    assert buckets_of({}) == []
