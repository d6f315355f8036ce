"""Parts on a real Elasticsearch, found by their operations and by their tags."""

from collections.abc import Callable
from contextlib import closing
from typing import Any, Protocol

import pytest

from pipeline.local.stack import Endpoints
from pipeline.settings import ElasticsearchAccess
from sinks.elasticsearch.client import ElasticsearchClient
from sinks.elasticsearch.searchable import LONGEST, MOST_OPERATIONS, MOST_PAIRS
from sinks.elasticsearch.settings import ElasticsearchSettings
from sinks.elasticsearch.sink import ElasticsearchSink
from sinks.elasticsearch.templates import PART_MAPPINGS
from tests.kit.http import http_request
from tests.kit.sink_examples import batch, new_trace_id, part, span
from tests.kit.sink_targets import metrics, search
from tracelink.model.records import Span

NAMES = (
    "ctx\0id", "\0", "", " ", ".", "..", "a..b", ".a", "a.", "a", "a.b", "_id", "_source", "*", "\ufffe", "\x7f",
    "\u2028", "k" * LONGEST, "🙂" * LONGEST, "k" * (LONGEST + 1), "k" * 33_000, "k" * 60_000, ".".join("k" * 128),
)  # fmt: skip
VALUES = ("", "\0", "a\0b", "🙂" * LONGEST, "v" * (LONGEST + 1), "v" * 33_000, "null", "\u2028", "*")

Find = Callable[[dict[str, Any]], list[str]]


class Write(Protocol):
    """Writes a part."""

    def __call__(self, *spans: Span, name: str = "s0-1") -> None: ...


@pytest.fixture
def written(stack: Endpoints, index_prefix: str) -> Write:
    """Give a function that writes a part of spans, and checks that none is refused."""
    settings = ElasticsearchSettings.load(
        elasticsearch_url=stack.elasticsearch, index_prefix=index_prefix, search_tags="*"
    )

    def write(*spans: Span, name: str = "s0-1") -> None:
        sink = ElasticsearchSink(settings, metrics())
        report = sink.write(batch(part(spans, name=name)))
        sink.close()
        assert not report.dead_letters

    return write


@pytest.fixture
def found(stack: Endpoints, index_prefix: str) -> Find:
    """Give a function that returns the names of the parts that a query finds."""

    def find(query: dict[str, Any]) -> list[str]:
        hits = search(stack.elasticsearch, f"{index_prefix}traces-*", {"query": query})
        return sorted(hit["_source"]["trace"]["part"] for hit in hits)

    return find


def test_a_part_is_found_by_an_operation_and_by_tags(written: Write, found: Find) -> None:
    written(
        span(new_trace_id(), name="get /cart", tags={"user.id": "7", "http.method": "GET"}),
        span(new_trace_id(), "00000000000000b2", name="select cart", tags={"user.id": "42"}),
        name="s0-1",
    )
    written(span(new_trace_id(), name="get /cart", tags={"user.id": "9"}), name="s0-2")
    assert found({"term": {"operations": "get /cart"}}) == ["s0-1", "s0-2"]
    assert found({"term": {"operations": "select cart"}}) == ["s0-1"]
    assert found({"prefix": {"operations": "select"}}) == ["s0-1"]
    assert found({"term": {"tags.user.id": "42"}}) == ["s0-1"]
    assert found({"term": {"tags.user.id": "9"}}) == ["s0-2"]
    assert found({"term": {"tags.http.method": "7"}}) == []
    assert found({"exists": {"field": "tags.http.method"}}) == ["s0-1"]
    both = [{"term": {"operations": "get /cart"}}, {"term": {"tags.user.id": "7"}}]
    assert found({"bool": {"filter": both}}) == ["s0-1"]


def test_hostile_names_and_values_keep_no_other_from_being_found(written: Write, found: Find) -> None:
    spans = [
        span(new_trace_id(), f"{number:016x}", name=value, tags={"order.id": "o-1", **dict.fromkeys(NAMES, value)})
        for number, value in enumerate(VALUES, 1)
    ]
    for number, one in enumerate(spans):
        written(one, name=f"s0-{number}")
    everything = [f"s0-{number}" for number in range(len(spans))]
    assert found({"term": {"tags.order.id": "o-1"}}) == everything
    for name in ("a", "a.b", ".a", "a..b", "_id", "k" * LONGEST, "🙂" * LONGEST, ".".join("k" * 128)):
        assert found({"term": {f"tags.{name}": "null"}}) == [f"s0-{VALUES.index('null')}"], name
    for number, value in enumerate(VALUES):
        assert found({"term": {"operations": value}}) == [f"s0-{number}"] * (0 < len(value) <= LONGEST)
        assert found({"term": {"tags.a": value}}) == [f"s0-{number}"] * (len(value) <= LONGEST)


def test_a_part_of_the_most_operations_and_pairs_is_found_by_each(written: Write, found: Find) -> None:
    trace_id = new_trace_id()
    count = MOST_OPERATIONS + MOST_PAIRS
    longest = [f"{number:03}".ljust(LONGEST, "🙂") for number in range(count)]
    written(*[span(trace_id, f"{number + 1:016x}", name=one, tags={one: one}) for number, one in enumerate(longest)])
    assert found({"term": {"operations": longest[MOST_OPERATIONS - 1]}}) == ["s0-1"]
    assert found({"term": {"operations": longest[MOST_OPERATIONS]}}) == []
    assert found({"term": {f"tags.{longest[MOST_PAIRS - 1]}": longest[MOST_PAIRS - 1]}}) == ["s0-1"]
    assert found({"term": {f"tags.{longest[MOST_PAIRS]}": longest[MOST_PAIRS]}}) == []


def test_an_index_from_before_answers_without_them_and_is_named(
    written: Write, found: Find, stack: Endpoints, index_prefix: str
) -> None:
    before = {name: field for name, field in PART_MAPPINGS["properties"].items() if name not in {"operations", "tags"}}
    index = f"{stack.elasticsearch}/{index_prefix}traces-2025.12.31"
    written(span(new_trace_id(), tags={"user.id": "7"}), name="s0-2")
    # The mapping of the template is merged into that of the request, so the index has none of it only without it.
    http_request("DELETE", f"{stack.elasticsearch}/_index_template/{index_prefix}traces")
    http_request("PUT", index, json={"mappings": {"dynamic": False, "properties": before}})
    old = {"trace": {"id": "1", "part": "s0-1"}, "operations": ["get /cart"], "tags": {"user.id": ["7"]}}
    http_request("PUT", f"{index}/_doc/1", json=old)
    assert found({"match_all": {}}) == ["s0-1", "s0-2"]
    assert found({"term": {"operations": "get /cart"}}) == ["s0-2"]
    assert found({"term": {"tags.user.id": "7"}}) == ["s0-2"]
    with closing(ElasticsearchClient(ElasticsearchAccess.load(elasticsearch_url=stack.elasticsearch), 30)) as client:
        for field in "operations", "tags":
            assert client.without_field(f"{index_prefix}traces-*", field) == [f"{index_prefix}traces-2025.12.31"]
