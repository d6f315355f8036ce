"""Lines of OpenTelemetry's JSON for logs (OTLP 1.5, `ExportLogsServiceRequest`), as fields for the reader of lines."""

from base64 import b64decode
from binascii import Error
from collections.abc import Iterator
from typing import Any

_TRACE_BYTES = frozenset({8, 16})


def otlp_lines(request: dict[str, Any]) -> Iterator[dict[str, object]]:
    """Yield the log records of a request; what is not where it belongs is left out."""
    for resource_logs in _dicts(request.get("resourceLogs")):
        resource = _attributes(_dict(resource_logs.get("resource")).get("attributes"))
        for scope_logs in _dicts(resource_logs.get("scopeLogs") or resource_logs.get("instrumentationLibraryLogs")):
            scope = _dict(scope_logs.get("scope"))
            for record in _dicts(scope_logs.get("logRecords")):
                yield _line(record, resource, scope)


def _line(record: dict[str, Any], resource: dict[str, object], scope: dict[str, Any]) -> dict[str, object]:
    line: dict[str, object] = {name: value for name, value in record.items() if name not in ("attributes", "body")}
    for name in ("traceId", "spanId"):
        line[name] = _hex(line.get(name))
    if not _said(line.get("timeUnixNano")):
        line.pop("timeUnixNano", None)
    line["body"] = _value(record.get("body"))
    if isinstance(scope_name := scope.get("name"), str):
        line["scope.name"] = scope_name
    line["attributes"] = _attributes(record.get("attributes"))
    line["resource"] = resource
    return line


def _said(time: object) -> bool:
    return time not in (None, 0, "0", "")


def _hex(found: object) -> object:
    """Return an id as hex; some senders write base64, as protobuf's own JSON does."""
    if isinstance(found, str) and found.endswith("="):
        try:
            decoded = b64decode(found, validate=True)
        except Error:
            return found
        return decoded.hex() if len(decoded) in _TRACE_BYTES else found
    return found


def _attributes(found: object) -> dict[str, object]:
    return {pair["key"]: _value(pair.get("value")) for pair in _dicts(found) if isinstance(pair.get("key"), str)}


def _value(found: object) -> object:
    """Return an AnyValue as the JSON value that it stands for."""
    if not isinstance(found, dict) or len(found) != 1:
        return found
    ((kind, value),) = found.items()
    match kind:
        case "arrayValue":
            return [_value(one) for one in _list(_dict(value).get("values"))]
        case "kvlistValue":
            return _attributes(_dict(value).get("values"))
        case "stringValue" | "boolValue" | "intValue" | "doubleValue" | "bytesValue":
            return value
    return found


def _list(found: object) -> list[Any]:
    return found if isinstance(found, list) else []


def _dicts(found: object) -> list[dict[str, Any]]:
    return [one for one in _list(found) if isinstance(one, dict)]


def _dict(found: object) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}
