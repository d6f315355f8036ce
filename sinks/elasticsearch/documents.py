"""What is written of a part of a trace: a document for each log line, under ECS names, and one for the part itself."""

from datetime import datetime
from typing import Any

from pipeline.analysis.root_cause import root_cause_span
from pipeline.formats.zipkin_json import zipkin_span
from sinks.elasticsearch.indices import instant
from tracelink.errors import InvalidRecord, Reason
from tracelink.model.records import Flag, LogRecord, Trace, duration_of, service_of, shown_trace_id

_LONGEST_ID = 512  # bytes; a longer or an empty id has Elasticsearch refuse the whole request
_LATEST = (2**63 - 1) // 1000  # what Elasticsearch's nanoseconds reach to, in the year 2262


def trace_context(trace: Trace) -> dict[str, Any]:
    """Return what every document of a part says of its trace: id, errored, and the root span where it is in it."""
    context: dict[str, Any] = {"id": shown_trace_id(trace["traceId"]), "errored": bool(trace["flags"] & Flag.ERROR)}
    if trace["flags"] & Flag.ROOT:
        root = next((span for span in trace["spans"] if span["flags"] & Flag.ROOT), None)
        if root is not None:
            context["root"] = _present(name=root.get("name"), service=service_of(root))
    return context


def log_id(record: LogRecord) -> str:
    """Return the id of a log line's document; raises InvalidRecord where none can have it."""
    return document_id(record["id"], "an id")


def document_id(text: str, what: str) -> str:
    """Return a text as it is where a document can have it as its id; raises InvalidRecord."""
    if not 0 < len(text.encode()) <= _LONGEST_ID:
        raise InvalidRecord(Reason.REFUSED, f"{what} has 1 to {_LONGEST_ID} bytes")
    return text


def log_document(record: LogRecord, context: dict[str, Any] | None) -> dict[str, Any]:
    """Return the document of a log line; `context` is that of its trace, if it has one. Raises InvalidRecord."""
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
    """Return the time of a part's earliest record by the services' clocks, in microseconds; its opening if none has.

    Times that no document can have are passed over: one span's mistake is not to keep the others out.
    """
    times = [timestamp for span in trace["spans"] if (timestamp := span.get("timestamp"))]
    times += [log["timestamp"] for log in trace["logs"]]
    return min([time for time in times if 0 < time <= _LATEST], default=trace["opened"] * 1000)


def part_id(trace: Trace) -> str:
    """Return the id of a part's document: names of parts begin anew when topics are made anew, trace ids do not."""
    return f"{trace['traceId'].hex()}-{trace['name']}"


def part_document(trace: Trace, context: dict[str, Any], start: int) -> dict[str, Any]:
    """Return the document of a part: its summary, where its error began, and its spans; `start` is when it `started`.

    Raises InvalidRecord.
    """
    spans, logs = trace["spans"], trace["logs"]
    errored = trace["flags"] & Flag.ERROR  # else nothing in it is
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
