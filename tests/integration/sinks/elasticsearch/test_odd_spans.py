"""Odd spans on a real Elasticsearch: it takes all of them, and has them whole where they are changed for Zipkin."""

from typing import Any

import orjson

from pipeline.formats.zipkin_json import parse_span, zipkin_span
from pipeline.local.stack import Endpoints
from sinks.elasticsearch.settings import ElasticsearchSettings
from sinks.elasticsearch.sink import ElasticsearchSink
from tests.kit import sink_examples as kit
from tests.kit.odd_spans import OddSpans
from tests.kit.sink_targets import metrics, search
from tracelink.model.records import ErrorRule


def spans_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the spans of a document, with the tags that it has aside since Elasticsearch cannot read their names."""
    spans: list[dict[str, Any]] = document["spans"]
    for aside in document.get("unindexed", ()):
        assert aside["field"] == "spans.tags"
        next(span for span in spans if span["id"] == aside["span"])["tags"][aside["name"]] = aside["value"]
    return spans


def test_odd_spans_are_whole(stack: Endpoints, index_prefix: str) -> None:
    sink = ElasticsearchSink(
        ElasticsearchSettings.load(elasticsearch_url=stack.elasticsearch, index_prefix=index_prefix), metrics()
    )
    source, rule = OddSpans(1), ErrorRule()
    odd = [parse_span(orjson.loads(orjson.dumps(source.span())), rule) for _ in range(100)]
    report = sink.write(kit.batch(*(kit.part([span], name=f"s0-{number}") for number, span in enumerate(odd))))
    sink.close()
    assert not report.dead_letters
    hits = search(stack.elasticsearch, f"{index_prefix}traces-*", {"size": 200})
    found = {hit["_source"]["trace"]["part"]: spans_of(hit["_source"]) for hit in hits}
    assert found == {f"s0-{number}": [orjson.loads(orjson.dumps(zipkin_span(span)))] for number, span in enumerate(odd)}
