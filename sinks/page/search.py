"""Finds traces in Elasticsearch, by their parts and by their log lines."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sinks.elasticsearch.client import ElasticsearchClient
from sinks.page.search_query import (
    MOST_LINES,
    MOST_PAGES,
    ROWS,
    Bucket,
    Result,
    SearchFilter,
    buckets_of,
    line_query,
    result_of,
    trace_query,
)

_LISTED = 3
_LISTED_TAGS = "Only the tags that TRACELINK_SEARCH_TAGS of the Elasticsearch sink names are found."


@dataclass(frozen=True, slots=True)
class Found:
    """One page of the traces that were found."""

    results: Sequence[Result]
    buckets: Sequence[Bucket]
    """Parts over time; of a search in log lines, log lines."""
    has_more: bool
    notes: Sequence[str]
    queries: Sequence[str]
    """The queries, in the form that Kibana's console takes."""


class Search:
    """Searches indices with a prefix; any thread may call it. Its methods raise Unavailable and Refused."""

    def __init__(self, client: ElasticsearchClient, prefix: str) -> None:
        self._client = client
        self._parts = f"{prefix}traces-*"
        self._lines = f"{prefix}logs-*"

    def find(self, wanted: SearchFilter) -> Found:
        """Return the newest traces first."""
        if wanted.text:
            return self._by_lines(wanted)
        query = trace_query(wanted)
        answer = self._client.ask(self._parts, query)
        hits = _sources(answer)
        return Found(
            [result_of(part) for part in hits[:ROWS]],
            buckets_of(answer),
            len(hits) > ROWS and wanted.page < MOST_PAGES,
            [*_cut_short(answer), *self._bounds(wanted)],
            [_shown(self._parts, query)],
        )

    def _by_lines(self, wanted: SearchFilter) -> Found:
        query = line_query(wanted)
        answer = self._client.ask(self._lines, query)
        lines = {line["trace"]["id"]: line for line in _sources(answer)}
        begin = (wanted.page - 1) * ROWS
        notes = _cut_short(answer)
        queries = [_shown(self._lines, query)]
        if len(lines) == MOST_LINES:
            notes.append(f"Only the newest {MOST_LINES} traces with these words were looked at.")
        if not lines:
            return Found([], buckets_of(answer), has_more=False, notes=notes, queries=queries)
        of_parts = trace_query(wanted, list(lines))
        parts_answer = self._client.ask(self._parts, of_parts)
        parts = {part["trace"]["id"]: part for part in _sources(parts_answer)}
        results = [
            result_of(parts.get(trace_id), line)
            for trace_id, line in lines.items()
            if trace_id in parts or not wanted.narrows_parts
        ]
        return Found(
            results[begin : begin + ROWS],
            buckets_of(answer),
            len(results) > begin + ROWS,
            [*notes, *_cut_short(parts_answer), *self._bounds(wanted)],
            [*queries, _shown(self._parts, of_parts)],
        )

    def _bounds(self, wanted: SearchFilter) -> list[str]:
        """Say which tags can be found, and which indices cannot answer because an older version wrote them."""
        notes = [_LISTED_TAGS] if wanted.tag else []
        for field in wanted.new_fields:
            lacking = self._client.without_field(self._parts, field)
            if lacking:
                more = len(lacking) - _LISTED
                listed = ", ".join(lacking[:_LISTED]) + (f" and {more} more" if more > 0 else "")
                notes.append(f"Traces in {listed} are not found: these indices are older, and have no {field}.")
        return notes


def _sources(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [hit["_source"] | {"_id": hit["_id"]} for hit in answer["hits"]["hits"]]


def _cut_short(answer: Mapping[str, Any]) -> list[str]:
    notes = []
    if answer.get("timed_out"):
        notes.append("Elasticsearch did not finish in time: there may be more. A shorter time range helps.")
    failed = (answer.get("_shards") or {}).get("failed", 0)
    if failed:
        notes.append(f"{failed} shards of Elasticsearch did not answer: there may be more.")
    return notes


def _shown(index: str, query: Mapping[str, Any]) -> str:
    return f"GET {index}/_search\n{json.dumps(query, indent=2, ensure_ascii=False)}"
