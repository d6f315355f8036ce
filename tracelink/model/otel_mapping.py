"""OpenTelemetry's spans and log records as ours, by plain values. Pure.

The SDK's exporters map objects of the SDK by it, the pipeline's decoders requests of OTLP: a record is the same on both
ways. Spans go by OpenTelemetry's published mapping to Zipkin. Links, dropped counts, trace state, resource and scope
have no field there and become tags: nothing is lost.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tracelink.model.levels import ORIGINAL_LEVEL, level_of_severity
from tracelink.model.records import NO_TRACE, ErrorRule, Flag, LoggedException, LogRecord
from tracelink.model.shared_tags import SharedTags
from tracelink.texts import json, text

MICRO = 1000
"""Nanoseconds in a microsecond."""
UNKNOWN_SERVICE = "unknown_service"
"""The service of records whose resource names none."""

Attributes = Mapping[str, object]

_ERRORED = range(17, 25)
_SHORT = bytes(8)
_COUNTS = ("attributes", "events", "links")
_EXCEPTION = ("exception.type", "exception.message", "exception.stacktrace")


class LogContent(NamedTuple):
    """The parts of a log record; `event_name` and `severity_text` may be empty, `severity` is 0 if it has no number."""

    body: object
    attributes: Attributes
    dropped: object
    event_name: str
    severity_text: str
    severity: object


def texts(attributes: Attributes) -> dict[str, str]:
    """Return attributes as tags."""
    return {text(name): text(value) for name, value in attributes.items()}


def common_tags(resource: Attributes, resource_url: str | None, scope: Attributes, named: Attributes) -> SharedTags:
    """Return the tags that all records of one resource and one scope share.

    `scope` are the scope's attributes, `named` its name, version and schema URL. The resource's `service.name` is not
    among the tags: records have a field for it.
    """
    tags = texts(resource)
    tags.pop("service.name", None)
    if resource_url:
        tags["otel.resource.schema_url"] = resource_url
    tags |= {f"otel.scope.{name}": value for name, value in texts(scope).items()}
    tags |= {f"otel.scope.{name}": text(value) for name, value in named.items() if value}
    return SharedTags(tags)


def with_own(common: SharedTags, attributes: Attributes, no_texts: Iterable[str] | None = None) -> dict[str, str]:
    """Return a copy of the common tags with a record's own attributes.

    If both have a name, the record's own attribute wins, and the resource's is renamed. `no_texts` are the names of
    attributes that may be no texts; without it, all are looked at.
    """
    tags: dict[str, Any] = common.for_record()
    tags.update(attributes)
    if len(tags) != len(common) + len(attributes):
        return _with_renamed(common, attributes)
    if no_texts is None:
        no_texts = [name for name, value in attributes.items() if type(value) is not str or not value.isascii()]
    for name in no_texts:
        tags[name] = text(attributes[name])
    return tags


def _with_renamed(common: dict[str, str], attributes: Attributes) -> dict[str, str]:
    tags = common.copy()
    for name, value in attributes.items():
        if name in common:
            tags[f"resource.{name}"] = common[name]
        tags[name] = text(value)
    return tags


def add_status(tags: dict[str, str], code: str | None, description: str | None) -> None:
    """Set the status (`OK`, `ERROR` or None), and the tag `error` only on a failed span.

    For Zipkin the mere presence of this tag is an error.
    """
    if code == "ERROR":
        if "error" in tags:
            tags["attribute.error"] = tags["error"]
        tags["otel.status_code"] = "ERROR"
        tags["error"] = text(description or "")
        return
    if "error" in tags and (code == "OK" or tags["error"] in {"false", ""}):
        tags["attribute.error"] = tags.pop("error")
    if code == "OK":
        tags["otel.status_code"] = "OK"
    if description:
        tags["otel.status_description"] = text(description)


def add_rest(
    tags: dict[str, str], dropped: tuple[object, object, object], links: list[dict[str, object]], trace_state: str
) -> None:
    """Set what Zipkin has no field for; `dropped` are the numbers of dropped attributes, events and links."""
    if any(dropped):
        for name, count in zip(_COUNTS, dropped, strict=True):
            if count:
                tags[f"otel.dropped_{name}_count"] = text(count)
    if links:
        tags["otel.links"] = json(links)
    if trace_state:
        tags["w3c.tracestate"] = trace_state


def link_shown(trace_id: str, span_id: str, trace_state: str, attributes: Attributes) -> dict[str, object]:
    """Return a link as an object for the tag `otel.links`."""
    shown: dict[str, object] = {"traceId": trace_id, "spanId": span_id}
    if trace_state:
        shown["traceState"] = trace_state
    if attributes:
        shown["attributes"] = texts(attributes)
    return shown


def event_text(name: str, attributes: Attributes, dropped: object) -> str:
    """Return an event as the text of an annotation."""
    if dropped:
        attributes = {**attributes, "otel.dropped_attributes_count": dropped}
    return f"{json(name)}: {json(attributes)}" if attributes else name


def log_record(
    content: LogContent,
    common: SharedTags,
    rule: ErrorRule,
    *,
    record_id: str,
    trace_id: bytes,
    span_id: str | None,
    timestamp: int,
    service: str | None,
    logger: str | None,
) -> LogRecord:
    """Return a log record; `rule` or the severity's number decides if it is errored.

    `trace_id` is `NO_TRACE` for a line outside of a trace, `timestamp` is in microseconds.
    """
    fields = with_own(common.for_logs, content.attributes)
    if content.event_name:
        fields["event.name"] = content.event_name
    if content.dropped:
        fields["otel.dropped_attributes_count"] = text(content.dropped)
    level, original = level_of_severity(content.severity_text, content.severity)
    if original is not None:
        fields.setdefault(ORIGINAL_LEVEL, original)
    flags = Flag.ERROR.value if content.severity in _ERRORED or rule.log(level) else 0
    if trace_id.startswith(_SHORT) and trace_id != NO_TRACE:
        flags |= Flag.SHORT_ID.value
    return {
        "flags": flags,
        "traceId": trace_id,
        "id": record_id,
        "spanId": span_id,
        "timestamp": timestamp,
        "service": service,
        "level": level,
        "logger": logger,
        "message": "" if content.body is None else text(content.body),
        "exception": _exception(fields),
        "fields": fields,
    }


def _exception(fields: dict[str, str]) -> LoggedException | None:
    """Move the exception out of the fields."""
    kind, message, stack = (fields.pop(name, None) for name in _EXCEPTION)
    if kind is None and message is None and stack is None:
        return None
    return {"type": kind, "message": message, "stackTrace": stack}
