"""Spans from Jaeger's JSON, as objects of Zipkin v2: answers of its API, downloads from its UI, and single spans.

An answer is `{"data": [{"spans": […], "processes": {…}}]}`; a span names its process by `processID` or has it in
`process`. Ids are hex without leading zeros, times are in microseconds, tags are typed. The parent is the first
`CHILD_OF` reference within the trace, else the first `FOLLOWS_FROM`, as in Jaeger. Its log entries become annotations
in the form that OpenTelemetry publishes for Zipkin, those of an OpenTracing error under OpenTelemetry's names.
"""

from collections.abc import Iterator
from typing import Any

from pipeline.formats.field_names import put
from pipeline.formats.invalid_input import InvalidInput, kept, shown
from pipeline.formats.span_values import event_text
from tracelink.model.endpoints import remote_endpoint

Json = dict[str, Any]

_DEBUG = 2
_ANSWER = frozenset({"data", "total", "limit", "offset", "errors"})
_KINDS = frozenset({"CLIENT", "SERVER", "PRODUCER", "CONSUMER"})
_CONVERTED = frozenset(
    {
        "traceID", "spanID", "parentSpanID", "operationName", "references", "startTime", "startTimeMillis", "duration",
        "tags", "tag", "logs", "process", "processID", "flags",
    }
)  # fmt: skip
_PARENTS = ("CHILD_OF", "FOLLOWS_FROM")
# OpenTracing's fields of an error, by OpenTelemetry's rules for its compatibility.
_ERROR_FIELDS = (
    ("error.kind", "exception.type"),
    ("message", "exception.message"),
    ("error.object", "exception.message"),
    ("stack", "exception.stacktrace"),
)
_SAMPLED_OR_DEBUG = (None, 0, 1, 2, 3)


def is_jaeger(value: Json) -> bool:
    """Return True for an answer of Jaeger's API, one trace of it, or one span."""
    if (traces := _traces(value)) is not None:
        known = all(isinstance(one, dict) and isinstance(one.get("spans"), list) for one in traces)
        return known if traces else value.keys() <= _ANSWER
    return ("traceID" in value and "spanID" in value) or _is_trace(value)


def v2_spans(value: Json) -> Iterator[tuple[str, Json | InvalidInput]]:
    """Yield each span as an object of Zipkin v2, or why it is none, with its place in the value."""
    if (traces := _traces(value)) is not None:
        for number, trace in enumerate(traces):
            yield from _trace(trace, f"data[{number}].")
    elif _is_trace(value):
        yield from _trace(value, "")
    else:
        yield "", _converted(value, None, {})


def _traces(value: Json) -> list[Json] | None:
    data = value.get("data")
    return data if isinstance(data, list) else [data] if isinstance(data, dict) else None


def _is_trace(value: Json) -> bool:
    return isinstance(value.get("spans"), list) and ("processes" in value or "traceID" in value)


def _trace(trace: Json, path: str) -> Iterator[tuple[str, Json | InvalidInput]]:
    processes = trace.get("processes")
    for number, span in enumerate(trace["spans"]):
        place = f"{path}spans[{number}]"
        if not isinstance(span, dict):
            yield place, InvalidInput("Jaeger", f"a span is a JSON object, not {shown(span)}")
            continue
        try:
            yield place, _converted(span, trace.get("traceID"), processes if isinstance(processes, dict) else {})
        except InvalidInput as error:
            yield place, error


def _converted(span: Json, trace_id: object, processes: Json) -> Json:
    trace_id = span.get("traceID", trace_id)
    process = span.get("process") or processes.get(str(span.get("processID"))) or {}
    if not isinstance(process, dict):
        raise InvalidInput("Jaeger", f"a process is a JSON object, not {shown(process)}")
    tags = _map(process.get("tags"), process.get("tag"))
    for name, tag in _map(span.get("tags"), span.get("tag")).items():
        if name in tags:  # the span's own tag wins, the process's is renamed
            tags[f"process.{name}"] = tags[name]
        tags[name] = tag
    parent, others = _parent(span, trace_id)
    if others:
        tags["jaeger.references"] = others
    word = str(tags.get("span.kind")).upper()
    kind = word if word in _KINDS else None
    if kind is not None:
        del tags["span.kind"]
    flags = span.get("flags")
    if flags not in _SAMPLED_OR_DEBUG:
        tags["field.flags"] = flags
    logs = span.get("logs") or []
    if not isinstance(logs, list):
        raise InvalidInput("Jaeger", f"logs must be a list, not {shown(logs)}")
    return {name: one for name, one in span.items() if name not in _CONVERTED} | {
        "traceId": trace_id,
        "id": span.get("spanID"),
        "parentId": parent,
        "kind": kind,
        "name": span.get("operationName"),
        "timestamp": span.get("startTime") or span.get("startTimeMillis"),
        "duration": span.get("duration"),
        "localEndpoint": {"serviceName": process.get("serviceName")},
        "remoteEndpoint": _remote(tags, kind),
        "annotations": [_annotation(entry) for entry in logs],
        "tags": tags,
        "debug": True if isinstance(flags, int) and flags & _DEBUG else None,
    }


def _parent(span: Json, trace_id: object) -> tuple[object, list[object]]:
    """Return the id of the parent span, and all other references."""
    references = span.get("references") or []
    if not isinstance(references, list):
        raise InvalidInput("Jaeger", f"references must be a list, not {shown(references)}")
    for kind in _PARENTS:
        for one in references:
            # Exporters that leave the trace id out mean the span's own.
            if isinstance(one, dict) and one.get("refType") == kind and one.get("traceID", trace_id) == trace_id:
                return one.get("spanID"), [other for other in references if other is not one]
    return span.get("parentSpanID"), references


def _map(*tags: object) -> Json:
    """Return tags as a map: from lists of typed tags, or from maps, whose names have @ for dots in Elasticsearch."""
    found: Json = {}
    for some in tags:
        if isinstance(some, dict):
            pairs = [(name.replace("@", "."), value) for name, value in some.items()]
        elif isinstance(some, list) and all(isinstance(one, dict) and isinstance(one.get("key"), str) for one in some):
            pairs = [(one["key"], one.get("value")) for one in some]
        elif some:
            raise InvalidInput("Jaeger", f"tags must be a list of objects with a key, not {shown(some)}")
        else:
            continue
        for name, value in pairs:
            put(found, name, value)
    return found


def _remote(tags: Json, kind: str | None) -> Json | None:
    """Return the other side by OpenTelemetry's attributes, else by OpenTracing's addresses."""
    found = remote_endpoint(kind, tags)
    if found is not None or kind is None:
        return dict(found) if found else None
    address = tags.get("peer.ipv4") or tags.get("peer.ipv6")
    return {"ipv4": address, "port": tags.get("peer.port")} if isinstance(address, str) else None


def _annotation(entry: object) -> object:
    """Return a log entry as an annotation: its event, and all other fields as JSON."""
    if not isinstance(entry, dict):
        return entry
    fields = _map(entry.get("fields"))
    name = fields.pop("event", None)
    if name is None:
        name = fields.pop("message", "log")
    if name == "error":
        name = "exception"
        for old, new in _ERROR_FIELDS:
            if old in fields and new not in fields:
                fields[new] = fields.pop(old)
    return {"timestamp": entry.get("timestamp"), "value": event_text(kept(name), fields)}
