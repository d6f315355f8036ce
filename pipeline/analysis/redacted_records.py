"""Redaction of records: their texts lose their secrets; ids, times and numbers stay."""

from typing import cast

from pipeline.analysis.redaction import Redactor
from tracelink.model.records import Endpoint, LoggedException, LogRecord, Span


def redacted_span(span: Span, redactor: Redactor) -> Span:
    """Redact names, tags and annotations of a span; returns the same object if nothing matches."""
    redact = redactor.redact
    changes: dict[str, object] = {}
    if (name := span.get("name")) and (shown := redact(name)) is not name:
        changes["name"] = shown
    if (tags := span.get("tags")) and (shown_tags := redactor.redact_map(tags)) is not tags:
        changes["tags"] = shown_tags
    if annotations := span.get("annotations"):
        values = [redact(one["value"]) for one in annotations]
        if any(shown is not one["value"] for shown, one in zip(values, annotations, strict=True)):
            changes["annotations"] = [{**one, "value": shown} for shown, one in zip(values, annotations, strict=True)]
    if (local := span.get("localEndpoint")) and (shown_local := _endpoint(local, redactor)) is not local:
        changes["localEndpoint"] = shown_local
    if (remote := span.get("remoteEndpoint")) and (shown_remote := _endpoint(remote, redactor)) is not remote:
        changes["remoteEndpoint"] = shown_remote
    return cast("Span", {**span, **changes}) if changes else span


def redacted_log(record: LogRecord, redactor: Redactor) -> LogRecord:
    """Redact message, exception, fields and names of a log line; returns the same object if nothing matches."""
    redact = redactor.redact
    changes: dict[str, object] = {}
    if (message := redact(record["message"])) is not record["message"]:
        changes["message"] = message
    if (fields := record.get("fields")) and (shown_fields := redactor.redact_map(fields)) is not fields:
        changes["fields"] = shown_fields
    if exception := record.get("exception"):
        changes["exception"] = _exception(exception, redactor)
    if (service := record.get("service")) and (shown := redact(service)) is not service:
        changes["service"] = shown
    if (logger := record.get("logger")) and (shown := redact(logger)) is not logger:
        changes["logger"] = shown
    return cast("LogRecord", {**record, **changes}) if changes else record


def _endpoint(endpoint: Endpoint, redactor: Redactor) -> Endpoint:
    name = endpoint.get("serviceName")
    shown = redactor.redact(name) if name else name
    return endpoint if shown is name else cast("Endpoint", {**endpoint, "serviceName": shown})


def _exception(exception: LoggedException, redactor: Redactor) -> LoggedException:
    return cast(
        "LoggedException",
        {name: redactor.redact(text) if isinstance(text, str) else text for name, text in exception.items()},
    )
