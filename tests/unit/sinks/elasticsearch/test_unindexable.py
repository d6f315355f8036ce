"""Fields that Elasticsearch cannot index, and where their documents keep them."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.base.contract import Batch, ProblemState, Report, UnlinkedLog
from sinks.elasticsearch.encoder import Encoder
from sinks.elasticsearch.settings import ElasticsearchSettings
from sinks.elasticsearch.unindexable import LONGEST_NAME, UNINDEXED, indexable, is_indexable
from tests.kit.alerts import problem
from tests.kit.sink_examples import UNLINKED, batch, log, message, new_trace_id, part, span
from tracelink.model.codec import LOG_RECORD


def sources(given_batch: Batch) -> list[dict[str, Any]]:
    """Return the documents of a batch, as Elasticsearch gets them."""
    report = Report([])
    made = Encoder(ElasticsearchSettings.load()).documents(given_batch, report)
    found = [orjson.loads(document.lines.splitlines()[1]) for document in made]
    assert not report.dead_letters
    return found


def line(fields: dict[str, str]) -> dict[str, Any]:
    record = log(bytes(16), fields=fields)
    (found,) = sources(Batch(unlinked=(UnlinkedLog(message(LOG_RECORD.encode(record), topic=UNLINKED), record),)))
    return found


@pytest.mark.parametrize(
    "name",
    ["ctx\0id", "\0", "k" * 33_000, "k" * (LONGEST_NAME + 1), "é" * (LONGEST_NAME // 2 + 1), "k" * 60_000],
    ids=["nul", "nul-alone", "33kB", "just-over", "accents", "60kB"],
)
def test_a_field_with_such_a_name_is_listed_beside_and_the_others_stay(name: str) -> None:
    found = line({"order": "o-1", name: "7"})
    assert found["labels"] == {"order": "o-1"}
    assert found[UNINDEXED] == [{"field": "labels", "name": name, "value": "7"}]
    assert found["message"] == "emptied"


@pytest.mark.parametrize(
    "fields",
    [
        {"order": "o-1"},
        {"detail": "a\0b"},
        {"text": r"a literal \u0000"},
        {r"named \u0000": "1"},
        {"k" * LONGEST_NAME: "v" * 1024},
        {"long": "v" * 100_000},
        {f"f{number}": "1" for number in range(5000)},
        {".": "1", "a..b": "2", "a.": "3", ".a": "4", "": "5"},
    ],
    ids=["plain", "nul-in-value", "escape-in-value", "escape-in-name", "longest", "long-value", "many", "dots"],
)
def test_all_other_fields_are_labels(fields: dict[str, str]) -> None:
    found = line(fields)
    assert found["labels"] == fields
    assert UNINDEXED not in found


def test_a_record_is_not_changed_by_its_document() -> None:
    fields = {"a\0b": "1", "c": "2"}
    line(fields)
    assert fields == {"a\0b": "1", "c": "2"}


def test_a_line_of_a_trace_costs_only_its_field() -> None:
    trace_id = new_trace_id()
    made = part([span(trace_id)], [log(trace_id, fields={"a\0b": "1"}), log(trace_id)])
    first, second, summary = sources(batch(made))
    assert first["trace"]["id"] == second["trace"]["id"] == trace_id.hex()
    assert first[UNINDEXED] == [{"field": "labels", "name": "a\0b", "value": "1"}]
    assert first["labels"] == {}
    assert UNINDEXED not in second
    assert UNINDEXED not in summary


def test_a_span_keeps_all_tags_whose_names_can_be_read() -> None:
    trace_id = new_trace_id()
    tags = {"k" * 33_000: "1", "a\0b": "2", "k" * 60_000: "3"}
    odd = span(trace_id, tags=tags)
    (summary,) = sources(batch(part([odd, span(trace_id, "00000000000000b2")])))
    assert summary["spans"][0]["tags"] == {"k" * 33_000: "1", "a\0b": "2"}
    assert summary["spans"][1]["tags"] == {"http.method": "GET"}
    assert summary[UNINDEXED] == [{"field": "spans.tags", "span": odd["id"], "name": "k" * 60_000, "value": "3"}]


def test_a_problem_costs_only_its_tag() -> None:
    state = problem(tags={"a\0b": "1", "c": "2"}, labels={"team\0": "shop"})
    (found,) = sources(Batch(problems=(ProblemState(message(b"", topic="problems"), state),)))
    assert found["error"]["tags"] == {"c": "2"}
    assert found[UNINDEXED] == [
        {"field": "labels", "name": "team\0", "value": "shop"},
        {"field": "error.tags", "name": "a\0b", "value": "1"},
    ]


@given(
    st.dictionaries(st.text(st.sampled_from("a\0\\u.é"), max_size=6), st.text(st.sampled_from("a\0\\u0"), max_size=6))
)
def test_no_field_is_lost_and_none_that_is_indexed_has_nul(fields: dict[str, str]) -> None:
    document = {"labels": fields}
    found = indexable(document)
    aside = {one["name"]: one["value"] for one in found.get(UNINDEXED, ())}
    assert found["labels"] | aside == fields
    assert not any("\0" in name for name in found["labels"])
    if is_indexable(orjson.dumps(document)):
        assert found is document
