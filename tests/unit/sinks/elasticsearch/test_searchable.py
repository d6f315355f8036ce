"""What a part is found by: the names of its operations, and tags with their values."""

from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.base.contract import Report
from sinks.elasticsearch.encoder import Encoder
from sinks.elasticsearch.searchable import LONGEST, MOST_OPERATIONS, MOST_PAIRS, SearchedTags, operations
from sinks.elasticsearch.settings import ElasticsearchSettings
from tests.kit.sink_examples import batch, log, part, span
from tracelink.model.records import LogRecord, Span

TRACE = bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736")
TAGS = st.dictionaries(st.sampled_from(["a", "b.c", "B.c", "n\0", "d" * 257]), st.text("xyz", max_size=3), max_size=4)


def named(*names: str | None) -> list[Span]:
    return [span(TRACE, name=name) for name in names]


def tagged(*tags: dict[str, str]) -> list[Span]:
    return [span(TRACE, tags=one) for one in tags]


def document(spans: list[Span], **settings: object) -> dict[str, Any]:
    """Return the document of a part with these spans, as Elasticsearch gets it."""
    report = Report([])
    (found,) = Encoder(ElasticsearchSettings.load(**settings)).documents(batch(part(spans)), report)
    assert not report.dead_letters
    source: dict[str, Any] = orjson.loads(found.lines.splitlines()[1])
    return source


def test_operations_are_the_names_of_spans_sorted_and_each_once() -> None:
    assert operations(named("post /b", "get /a", None, "", "post /b")) == ["get /a", "post /b"]


def test_operations_are_bounded_in_number_and_length() -> None:
    names = [f"{number:04}" for number in range(MOST_OPERATIONS + 10)]
    assert operations(named(*reversed(names))) == names[:MOST_OPERATIONS]
    assert operations(named("é" * LONGEST, "x" * (LONGEST + 1))) == ["é" * LONGEST]


def test_tags_are_those_of_the_names_with_each_value_once() -> None:
    spans = tagged({"user.id": "7", "db": "pg"}, {"user.id": "42", "pod": "a"}, {"user.id": "7"}, {})
    assert SearchedTags(["user.id", "db"]).of(spans) == {"db": ["pg"], "user.id": ["42", "7"]}
    assert SearchedTags([]).of(spans) == {}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("user.id", {"user.id", "User.ID"}),
        ("USER.*", {"user.id", "User.ID", "user.name"}),
        ("*id", {"user.id", "User.ID", "order_id", "id"}),
        ("*", {"user.id", "User.ID", "user.name", "order_id", "id", "line\nbreak"}),
        ("user", set()),
        ("line*break", {"line\nbreak"}),
    ],
)
def test_a_star_stands_for_any_characters_of_a_whole_name_in_any_case(name: str, found: set[str]) -> None:
    tags = dict.fromkeys(["user.id", "User.ID", "user.name", "order_id", "id", "line\nbreak"], "1")
    assert set(SearchedTags([name]).of(tagged(tags))) == found


def test_a_name_or_a_value_that_is_too_long_and_a_name_with_nul_are_left_out() -> None:
    tags = {
        "value": "é" * (LONGEST + 1),
        "longest": "é" * LONGEST,
        "n" * (LONGEST + 1): "1",
        "m" * LONGEST: "2",
        "a\0b": "3",
        "nul in value": "a\0b",
    }
    assert SearchedTags(["*"]).of(tagged(tags)) == {
        "longest": ["é" * LONGEST],
        "m" * LONGEST: ["2"],
        "nul in value": ["a\0b"],
    }


def test_a_tag_of_many_values_displaces_no_other() -> None:
    many = [{"a.statement": f"{number:03}", "z.user": str(number % 2)} for number in range(100)]
    assert SearchedTags(["*"]).of(tagged(*many)) == {
        "a.statement": [f"{number:03}" for number in range(MOST_PAIRS - 2)],
        "z.user": ["0", "1"],
    }


def test_of_too_many_tags_those_first_in_the_alphabet_are_kept() -> None:
    names = [f"{number:03}" for number in range(MOST_PAIRS + 10)]
    assert SearchedTags(["*"]).of(tagged(dict.fromkeys(reversed(names), "1"))) == {
        name: ["1"] for name in names[:MOST_PAIRS]
    }


@given(st.lists(TAGS, max_size=30), st.randoms())
def test_another_order_of_the_spans_and_repeats_change_nothing(tags: list[dict[str, str]], chance: Random) -> None:
    others = tags + tags[:3]
    chance.shuffle(others)
    searched = SearchedTags(["*"])
    found, again = searched.of(tagged(*tags)), SearchedTags(["*"]).of(tagged(*others))
    assert list(found.items()) == list(again.items())
    pairs = {(name, value) for one in tags for name, value in one.items() if len(name) <= LONGEST and "\0" not in name}
    kept = {(name, value) for name, values in found.items() for value in values}
    assert kept <= pairs
    assert len(kept) == sum(map(len, found.values())) == min(len(pairs), MOST_PAIRS)


def test_a_part_has_the_operations_and_the_tags_that_are_searched_redacted_as_its_spans_are() -> None:
    spans = [span(TRACE, name="get /pay?password=hunter2", tags={"user.mail": "ann@example.org", "user.id": "7"})]
    found = document(spans, search_tags="user.*, order.id")
    assert found["operations"] == [found["spans"][0]["name"]]
    assert found["tags"] == {"user.id": ["7"], "user.mail": [found["spans"][0]["tags"]["user.mail"]]}
    assert b"hunter2" not in orjson.dumps(found)
    assert b"ann@" not in orjson.dumps(found)
    assert document(spans, search_tags="user.id", redact_names="user.id")["tags"] == {"user.id": ["[redacted]"]}


def test_by_default_tags_are_searched_that_say_whose_a_request_was_and_not_where_it_ran() -> None:
    spans = [
        span(TRACE, tags={"http.route": "/cart", "app.user.id": "7", "k8s.pod.name": "cart-1", "db.statement": "x"})
    ]
    assert document(spans)["tags"] == {"app.user.id": ["7"], "http.route": ["/cart"]}
    assert "tags" not in document(spans, search_tags="")


@pytest.mark.parametrize(
    ("spans", "lines"),
    [([], [log(TRACE)]), ([span(TRACE, name=None, tags={})], []), ([span(TRACE, name="", tags={"a\0": "1"})], [])],
    ids=["lines-alone", "nothing", "nothing-valid"],
)
def test_a_part_that_has_neither_has_no_such_fields(spans: list[Span], lines: list[LogRecord]) -> None:
    made = Encoder(ElasticsearchSettings.load(search_tags="*")).documents(batch(part(spans, lines)), Report([]))
    for found in made:
        assert not {"operations", "tags"} & set(orjson.loads(found.lines.splitlines()[1]))
