"""Log records of OpenTelemetry's JSON (OTLP 1.5, `ExportLogsServiceRequest`), as fields for the reader of lines."""

import math
from collections.abc import Iterator
from typing import Any

from pipeline.formats.invalid_input import InvalidInput
from pipeline.formats.otlp_common import Limit
from pipeline.formats.otlp_fields import field
from pipeline.formats.otlp_values import Values, decode_base64
from tracelink.texts import text

_READ_APART = frozenset({"attributes", "body", "traceId", "spanId", "trace_id", "span_id"})
_VALUES = Values(Limit())
_ID_BYTES = frozenset({8, 16})


def otlp_lines(request: dict[str, Any]) -> Iterator[dict[str, object] | InvalidInput]:
    """Yield the log records of a request, or the error of one that is broken."""
    for resource_logs in _objects(field(request, "resourceLogs")):
        resource = field(resource_logs, "resource")
        for scope_logs in _objects(field(resource_logs, "scopeLogs")):
            scope = field(scope_logs, "scope")
            for record in _objects(field(scope_logs, "logRecords")):
                try:
                    yield _line(record, resource, scope)
                except InvalidInput as error:
                    yield error


def _line(record: dict[str, Any], resource: object, scope: object) -> dict[str, object]:
    line: dict[str, object] = {
        name: value
        for name, value in record.items()
        # 0 stands for a time that is not known.
        if name not in _READ_APART and not (name.endswith("UnixNano") and value in (0, "0", ""))
    }
    line["traceId"], line["spanId"] = _hex(field(record, "traceId")), _hex(field(record, "spanId"))
    line["body"] = _in_json(_VALUES.value(record.get("body")))
    line["attributes"] = _in_json(_VALUES.attributes(record.get("attributes")))
    if isinstance(resource, dict):
        line["resource"] = _in_json(_VALUES.attributes(resource.get("attributes")))
    if isinstance(scope, dict) and isinstance(name := scope.get("name"), str):
        line["scope.name"] = name
    return line


def _in_json(value: object) -> object:
    """Return a value as it is in JSON: the text of bytes, of NaN and of infinities."""
    if isinstance(value, dict):
        return {name: _in_json(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_in_json(one) for one in value]
    return text(value) if isinstance(value, bytes) or (isinstance(value, float) and not math.isfinite(value)) else value


def _hex(found: object) -> object:
    """Return an id as hex; some senders write base64, as protobuf's own JSON does."""
    if isinstance(found, str) and found.endswith("="):
        decoded = decode_base64(found)
        return decoded.hex() if decoded is not None and len(decoded) in _ID_BYTES else found
    return found


def _objects(found: object) -> list[dict[str, Any]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
