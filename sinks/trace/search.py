"""Finds one trace in Elasticsearch: the spans of all its parts, and its log lines."""

import json
import math
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

import orjson

from sinks.elasticsearch.client import ElasticsearchClient
from sinks.elasticsearch.settings import ElasticsearchSettings
from tracelink.errors import Unavailable, UserError
from tracelink.model.records import TRACE_ID_CHARS, ErrorRule, Flag, Span, shown_trace_id

_PARTS_AT_ONCE = 10  # each of up to some MiB
_LINES_AT_ONCE = 1000
_RULE = ErrorRule()


@dataclass(frozen=True, slots=True)
class FoundTrace:
    """A trace from Elasticsearch, with spans and log lines sorted by time."""

    trace_id: bytes
    parts: list[dict[str, Any]]
    """The documents of its parts without spans: fields `trace`, `service`, `error`."""
    spans: list[dict[str, Any]]
    """In Zipkin's v2 format, without duplicates."""
    lines: list[dict[str, Any]]
    """Documents of log lines, with ECS names and `_id`."""
    limit: int | None = None
    """The limit of spans and of lines, if there may be more; else None."""

    @property
    def shown_id(self) -> str:
        """The trace id as Zipkin shows it."""
        return shown_trace_id(self.trace_id)

    @property
    def errored(self) -> bool:
        """True if a part or a log line is marked as errored."""
        return any(part.get("trace", {}).get("errored") for part in [*self.parts, *self.lines])

    def as_json(self) -> dict[str, Any]:
        """Return the trace as it is printed as JSON: spans in Zipkin's format, and log lines."""
        return {
            "traceId": self.shown_id,
            "errored": self.errored,
            "complete": self.limit is None,
            "spans": self.spans,
            "logs": self.lines,
        }

    def records(self) -> list[Span]:
        """Return the spans as records. The default rule decides which are errored: documents do not store the flag."""
        return [_record(self.trace_id, span) for span in self.spans]


def find(settings: ElasticsearchSettings, trace_id: bytes, limit: int) -> FoundTrace:
    """Fetch a trace with at most `limit` spans and `limit` log lines; raises UserError if nothing is found."""
    try:
        with closing(ElasticsearchClient(settings, settings.request_timeout)) as client:
            found = fetch(client, settings.index_prefix, trace_id, limit)
    except Unavailable as error:
        raise UserError(f"{error}. Is it running? `tracelink stack up` starts one on this machine.") from None
    if found is None:
        raise UserError(_not_found(shown_trace_id(trace_id), client.url, settings.index_prefix))
    return found


def fetch(
    client: ElasticsearchClient, prefix: str, trace_id: bytes, limit: int, *, until: float = math.inf
) -> FoundTrace | None:
    """Fetch a trace as `find` does, from indices with a prefix; None if nothing is found.

    Raises Unavailable, also after `until`, a time of `time.monotonic`.
    """
    parts, spans = _spans(client, f"{prefix}traces-*", trace_id, limit + 1, until)
    lines = _lines(client, f"{prefix}logs-*", trace_id, limit + 1, until)
    if not parts and not lines:
        return None
    cut = len(spans) > limit or len(lines) > limit
    return FoundTrace(trace_id, parts, spans[:limit], lines[:limit], limit if cut else None)


def _spans(
    client: ElasticsearchClient, index: str, trace_id: bytes, most: int, until: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the parts without spans, and their spans without duplicates: a replayed part may be stored twice."""
    parts: list[dict[str, Any]] = []
    spans: dict[bytes, dict[str, Any]] = {}
    for part in client.search(index, _query(trace_id), _PARTS_AT_ONCE, until=until):
        source = part["_source"]
        for span in source.pop("spans", ()):
            spans.setdefault(_content(span), span)
        parts.append(source)
        if len(spans) >= most or len(parts) >= most:
            break
    return parts, sorted(spans.values(), key=lambda span: span.get("timestamp") or 0)[:most]


def _content(span: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(span, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # half a character, which others may have written
        return json.dumps(span, sort_keys=True).encode()


def _lines(client: ElasticsearchClient, index: str, trace_id: bytes, most: int, until: float) -> list[dict[str, Any]]:
    hits = islice(client.search(index, _query(trace_id), _LINES_AT_ONCE, until=until), most)
    return list({hit["_id"]: hit["_source"] | {"_id": hit["_id"]} for hit in hits}.values())


def _query(trace_id: bytes) -> dict[str, Any]:
    by_time = {"@timestamp": {"order": "asc", "unmapped_type": "date_nanos"}}
    return {"query": {"term": {"trace.id": shown_trace_id(trace_id)}}, "sort": [by_time]}


def _record(trace_id: bytes, span: dict[str, Any]) -> Span:
    flags = Flag.SHORT_ID if len(span["traceId"]) < TRACE_ID_CHARS else 0
    flags |= Flag.ERROR if _RULE.span(span.get("tags") or {}) else 0
    flags |= 0 if span.get("parentId") else Flag.ROOT
    return cast("Span", span | {"traceId": trace_id, "flags": flags})


def _not_found(shown: str, url: str, prefix: str) -> str:
    return (
        f"Elasticsearch at {url} has no records of trace {shown} in {prefix}traces-* and {prefix}logs-*. "
        "It may be too recent: by default a trace is written 6 s after its root span, and without one 30 s after its "
        "last record. Or the sink has sampled it out (TRACELINK_KEEP_SHARE), its indices were deleted, "
        "or they have another prefix (TRACELINK_INDEX_PREFIX)."
    )
