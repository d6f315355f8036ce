"""The documents of a part of a trace: one for each log line, with ECS names, and one for the part itself."""

from datetime import datetime
from typing import Any

from pipeline.analysis.root_cause import root_cause_span
from pipeline.formats.zipkin_json import zipkin_span
from sinks.elasticsearch.indices import instant
from sinks.elasticsearch.searchable import SearchedTags, operations
from tracelink.errors import InvalidRecord, Reason
from tracelink.model.records import Flag, LogRecord, Trace, duration_of, service_of, shown_trace_id

_LONGEST_ID = 512  # bytes; for a longer or an empty id Elasticsearch refuses the whole request
_LATEST = (2**63 - 1) // 1000  # the limit of Elasticsearch's date_nanos, in the year 2262


def trace_context(trace: Trace) -> dict[str, Any]:
    """Return the field `trace` of all documents of a part: id, errored, and the root span if the part has it."""
    context: dict[str, Any] = {"id": shown_trace_id(trace["traceId"]), "errored": bool(trace["flags"] & Flag.ERROR)}
    if trace["flags"] & Flag.ROOT:
        root = next((span for span in trace["spans"] if span["flags"] & Flag.ROOT), None)
        if root is not None:
            context["root"] = _present(name=root.get("name"), service=service_of(root))
    return context


def log_id(record: LogRecord) -> str:
    """Return the id of a log line's document; raises InvalidRecord if its length is invalid."""
    return document_id(record["id"], "an id")


def document_id(text: str, what: str) -> str:
    """Return a text that is valid as a document id; raises InvalidRecord if its length is invalid."""
    if not 0 < len(text.encode()) <= _LONGEST_ID:
        raise InvalidRecord(Reason.REFUSED, f"{what} has 1 to {_LONGEST_ID} bytes")
    return text


def log_document(record: LogRecord, context: dict[str, Any] | None) -> dict[str, Any]:
    """Return the document of a log line; `context` is the `trace_context` of its part. Raises InvalidRecord."""
    document: dict[str, Any] = {"@timestamp": _instant(record["timestamp"]), "message": record["message"]}
    level, logger = record.get("level"), record.get("logger")
    if level or logger:
        document["log"] = _present(level=level, logger=logger)
    if service := record.get("service"):
        document["service"] = {"name": service}
    if context is not None:
        document["trace"] = context
    if span_id := record.get("spanId"):
        document["span"] = {"id": span_id}
    if exception := record.get("exception"):
        document["error"] = _present(
            type=exception.get("type"), message=exception.get("message"), stack_trace=exception.get("stackTrace")
        )
    if fields := record.get("fields"):
        document["labels"] = fields
    return document


def started(trace: Trace) -> int:
    """Return the earliest timestamp of a part's records (services' clocks, microseconds), or the time it was opened.

    Times outside the range of a document are skipped, so that one wrong span does not exclude the whole part.
    """
    times = [timestamp for span in trace["spans"] if (timestamp := span.get("timestamp"))]
    times += [log["timestamp"] for log in trace["logs"]]
    return min([time for time in times if 0 < time <= _LATEST], default=trace["opened"] * 1000)


def part_id(trace: Trace) -> str:
    """Return the id of a part's document. It has the trace id, as part names start again if topics are recreated."""
    return f"{trace['traceId'].hex()}-{trace['name']}"


def part_document(trace: Trace, context: dict[str, Any], start: int, searched: SearchedTags) -> dict[str, Any]:
    """Return the document of a part: summary, root cause and spans. `start` is its time by `started`.

    Raises InvalidRecord.
    """
    spans, logs = trace["spans"], trace["logs"]
    errored = trace["flags"] & Flag.ERROR  # not set: no record of the part is errored
    services = {*map(service_of, spans), *[log.get("service") for log in logs]} - {None, ""}
    document: dict[str, Any] = {
        "@timestamp": _instant(start),
        "trace": {
            **context,
            "part": trace["name"],
            "reason": trace["reason"],
            "opened": trace["opened"],
            "closed": trace["closed"],
            "span_count": len(spans),
            "log_count": len(logs),
            "error_count": sum([record["flags"] & Flag.ERROR for record in (*spans, *logs)]) if errored else 0,
        },
        "service": {"name": sorted(services)},
    }
    if spans:
        document["trace"]["duration"] = {"us": duration_of(spans)}
        document["spans"] = [zipkin_span(span) for span in spans]
        if names := operations(spans):
            document["operations"] = names
        if tags := searched.of(spans):
            document["tags"] = tags
    if errored and (origin := root_cause_span(trace)):
        document["error"] = _present(
            service=origin.service, operation=origin.operation, message=origin.message, type=origin.type
        )
    return document


def _instant(microseconds: int) -> datetime:
    try:
        return instant(microseconds)
    except OverflowError:
        raise InvalidRecord(Reason.REFUSED, f"no date: {microseconds} µs since the epoch") from None


def _present(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}
