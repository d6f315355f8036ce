import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from sinks.elasticsearch.settings import ElasticsearchSettings
from sinks.elasticsearch.templates import templates
from tests.deploy.files import DEPLOY, services

OBJECTS = [json.loads(line) for line in (DEPLOY / "kibana" / "saved-objects.ndjson").read_text("utf-8").splitlines()]
VIEWS = {saved["id"]: saved["attributes"] for saved in OBJECTS if saved["type"] == "index-pattern"}
SEARCHES = [saved for saved in OBJECTS if saved["type"] == "search"]


def _fields(mappings: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, field in mappings["properties"].items():
        if "properties" in field:
            yield from _fields(field, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _indexed() -> dict[str, set[str]]:
    """Return the fields of the indices by their pattern."""
    written = templates(ElasticsearchSettings.load()).values()
    return {one["index_patterns"][0]: set(_fields(one["template"]["mappings"])) for one in written}


def _query(search: dict[str, Any]) -> str:
    source = json.loads(search["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
    assert source["query"]["language"] == "kuery"
    assert source["indexRefName"] == search["references"][0]["name"]
    return str(source["query"]["query"])


def test_every_reference_leads_to_an_object_of_the_file() -> None:
    ids = {(saved["type"], saved["id"]) for saved in OBJECTS}
    assert len(ids) == len(OBJECTS)
    assert all((wanted["type"], wanted["id"]) in ids for saved in OBJECTS for wanted in saved["references"])


def test_the_data_views_cover_the_indices_that_the_sink_writes() -> None:
    assert {view["title"] for view in VIEWS.values()} == _indexed().keys()
    assert all(view["timeFieldName"] in _indexed()[view["title"]] for view in VIEWS.values())


@pytest.mark.parametrize("search", SEARCHES, ids=lambda saved: str(saved["id"]))
def test_a_search_asks_for_fields_that_are_indexed(search: dict[str, Any]) -> None:
    indexed = _indexed()[VIEWS[search["references"][0]["id"]]["title"]]
    attributes = search["attributes"]
    asked = {*attributes["columns"], *(name for name, _ in attributes["sort"])}
    in_query = set(re.findall(r"([\w.@]+)\s*:", _query(search)))
    assert in_query
    assert asked | in_query <= indexed


@pytest.mark.parametrize("view", VIEWS)
def test_a_trace_id_leads_to_the_trace_in_zipkin(view: str) -> None:
    formats = json.loads(VIEWS[view]["fieldFormatMap"])
    assert formats.keys() <= _indexed()[VIEWS[view]["title"]]
    (published,) = services()["zipkin"]["ports"]
    zipkin = published.rsplit(":", 1)[0]
    assert formats["trace.id"]["params"]["urlTemplate"] == f"http://{zipkin}/zipkin/traces/{{{{value}}}}"


def test_the_problems_are_listed_with_the_newest_first() -> None:
    (problems,) = [saved["attributes"] for saved in SEARCHES if saved["id"] == "tracelink-problems"]
    assert problems["sort"] == [["problem.first_seen", "desc"]]
    assert {
        "problem.status",
        "problem.severity",
        "error.service",
        "error.operation",
        "error.message",
        "problem.count",
    } <= set(problems["columns"])
