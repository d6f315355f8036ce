"""Looks for records in Elasticsearch and Zipkin."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from tests.kit.http import http_request
from tests.kit.live import Live
from tests.kit.waiting import wait_for
from tracelink.kafka.messages import EncodedRecord
from tracelink.model.codec import LOG_RECORD, SPAN
from tracelink.model.records import print_trace_id

Seen = Counter[tuple[str, ...]]
"""Spans by trace, id and kind, or log lines by trace and id."""


def in_both_stores(live: Live, records: Iterable[EncodedRecord]) -> None:
    """Wait until each record is in its stores, and check that it is there once; a sender may have repeated none."""
    spans, lines = Seen(), Seen()
    for one in records:
        if one.topic == live.names.spans:
            span = SPAN.decode(one.value)
            spans[print_trace_id(span["traceId"], span["flags"]), span["id"], span.get("kind") or ""] += 1
        else:
            line = LOG_RECORD.decode(one.value)
            trace = print_trace_id(line["traceId"], line["flags"]) if any(line["traceId"]) else ""
            lines[trace, line["id"]] += 1
    assert spans or lines

    def stored() -> bool:
        return _documents(live) == (spans, lines) and _in_zipkin(live.stack.zipkin, spans) == spans

    wait_for(f"{spans.total()} spans and {lines.total()} log lines in the stores", stored)


def _documents(live: Live) -> tuple[Seen, Seen]:
    spans, lines = Seen(), Seen()
    for (index, identity), (_, source) in live.documents().items():
        trace = source.get("trace", {}).get("id", "")
        if index.startswith("logs"):
            lines[trace, identity] += 1
        spans.update(_seen(trace, span) for span in source.get("spans", ()))
    return spans, lines


def _in_zipkin(url: str, spans: Iterable[tuple[str, ...]]) -> Seen:
    found = Seen()
    for trace in {trace for trace, _, _ in spans}:
        answer = http_request("GET", f"{url}/api/v2/trace/{trace}")
        found.update(_seen(trace, span) for span in (answer.json() if answer.status == 200 else ()))
    return found


def _seen(trace: str, span: dict[str, Any]) -> tuple[str, ...]:
    return trace, span["id"], span.get("kind", "")
