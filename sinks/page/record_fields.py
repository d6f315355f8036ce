"""The fields of a span or a log line, as a person reads them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from pipeline.formats.text_lines import parse_text_line
from sinks.page import shown
from sinks.page.waterfall import Row
from sinks.trace.placement import Line, field_of, time_of

_OTEL_EVENT = re.compile(r'"([^"]{1,200})": (\{.*\})', re.DOTALL)


def level_of(row: Row) -> str | None:
    """Return the level of a row that is a log line."""
    return None if row.line is None else field_of(row.line, "log", "level")


def said_of(row: Row) -> str:
    """Return the message of a log line, without the header of a log layout: its time, level and ids are elsewhere."""
    message = str((row.line or {}).get("message") or "")
    layout = parse_text_line(message) if message[:1].isdecimal() or message.startswith("[") else {}
    behind = layout.get("message") or layout.get("msg")
    return behind if isinstance(behind, str) else message


def exception_of(row: Row) -> str:
    """Return the exception of a log line, if its message does not name it."""
    error = (row.line or {}).get("error") or {}
    if not error.get("type") or error["type"] in str((row.line or {}).get("message")):
        return ""
    return shown.name(": ".join(str(error[name]) for name in ("type", "message") if error.get(name)))


def fields_of(row: Row) -> list[tuple[str, str]]:
    """Return the fields of a row's record, with names, in the order in which a person asks for them."""
    return _span_detail(row) if row.node is not None else _line_detail(row.line or {})


def _span_detail(row: Row) -> list[tuple[str, str]]:
    span: Mapping[str, Any] = row.node.span if row.node is not None else {}
    started = span.get("timestamp") or 0
    fields = [
        ("span", span.get("id")),
        ("parent", span.get("parentId")),
        ("kind", span.get("kind")),
        ("start", shown.instant(started)),
        ("duration", f"{span['duration']:,} µs" if span.get("duration") else "not ended"),
        ("from", _endpoint(span.get("localEndpoint"))),
        ("to", _endpoint(span.get("remoteEndpoint"))),
        *_events(span, started),
        *sorted((span.get("tags") or {}).items()),
    ]
    return _texts(fields)


def _events(span: Mapping[str, Any], started: int) -> list[tuple[str, Any]]:
    """Return the events of a span, each attribute of an OpenTelemetry event on its own."""
    fields: list[tuple[str, Any]] = []
    for event in span.get("annotations") or ():
        name, attributes = _event(str(event.get("value")))
        after = f", {shown.took((event.get('timestamp') or 0) - started)} after its start" if started else ""
        fields += [(f"event{after}", name), *attributes.items()]
    return fields


def _event(value: str) -> tuple[str, Mapping[str, Any]]:
    """Return name and attributes of an annotation: OpenTelemetry's have the form `"name": {attributes}`."""
    found = _OTEL_EVENT.fullmatch(value)
    if found:
        try:
            return found[1], orjson.loads(found[2])
        except orjson.JSONDecodeError:
            pass
    return value, {}


def _line_detail(line: Line) -> list[tuple[str, str]]:
    error = line.get("error") or {}
    fields = [
        ("message", line.get("message")),
        ("time", shown.instant(time_of(line))),
        ("service", field_of(line, "service", "name")),
        ("level", field_of(line, "log", "level")),
        ("logger", field_of(line, "log", "logger")),
        ("exception", error.get("type")),
        ("exception's message", error.get("message")),
        ("stack trace", error.get("stack_trace")),
        ("span", field_of(line, "span", "id")),
        *sorted((line.get("labels") or {}).items()),
        ("document", line.get("_id")),
    ]
    return _texts(fields)


def _texts(fields: Sequence[tuple[str, Any]]) -> list[tuple[str, str]]:
    return [
        (shown.name(name), shown.text(value, shown.LONGEST_DETAIL)) for name, value in fields if value not in (None, "")
    ]


def _endpoint(endpoint: Mapping[str, Any] | None) -> str:
    if not endpoint:
        return ""
    address = endpoint.get("ipv4") or (f"[{endpoint['ipv6']}]" if endpoint.get("ipv6") else "")
    port = f":{endpoint['port']}" if endpoint.get("port") else ""
    return " ".join(filter(None, (endpoint.get("serviceName"), f"{address}{port}")))


def words(row: Row) -> str:
    """Return the texts of a row, in lower case, for a search in them."""
    if row.node is not None:
        span = row.node.span
        said: list[Any] = [span.get("name"), row.service, *(span.get("tags") or {}).values()]
        said += [event["value"] for event in span.get("annotations") or ()]
    else:
        line = row.line or {}
        said = [line.get("message"), row.service]
        said += [*(line.get("error") or {}).values(), *(line.get("labels") or {}).values()]
    return "\n".join(str(one) for one in said if one).lower()
