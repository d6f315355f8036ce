"""Encoding of ordinary spans and log records in half the time that fastavro takes.

Most fields are unions of null and something. fastavro tries the branches for every value, and each of its calls costs
as much as four tags. Here the type of a value decides. A record with any value that is not plainly of its field's type
goes to fastavro, which encodes or refuses it.
"""

from collections.abc import Mapping
from functools import lru_cache
from io import BytesIO
from itertools import islice
from typing import Any, cast

from fastavro import parse_schema, schemaless_writer

from tracelink.model.avro import LENGTHS, map_block, string, varint
from tracelink.model.codec import LOG_RECORD, SPAN, Schema
from tracelink.model.records import Endpoint, LoggedException, LogRecord, Span
from tracelink.model.shared_tags import Tags

_SPAN_FIELDS = {field["name"]: field["type"] for field in SPAN.schema["fields"]}
_ANNOTATIONS = cast("Schema", parse_schema(_SPAN_FIELDS["annotations"]))
_ENDPOINT = cast("Schema", parse_schema(_SPAN_FIELDS["localEndpoint"][1]))
_ENDPOINT_FIELDS = tuple(field["name"] for field in _ENDPOINT["fields"])
# Those that take one byte.
_FLAGS = tuple(varint(flags) for flags in range(64))
_TRACE_BYTES = 16
_LONGS = range(-(2**63), 2**63)
# The index of the branch in a union of null and something else.
_NULL, _OTHER = b"\x00", b"\x02"
_KINDS = {None: _NULL} | {
    name: _OTHER + varint(number) for number, name in enumerate(_SPAN_FIELDS["kind"][1]["symbols"])
}
_BOOLEANS = {False: _OTHER + b"\x00", True: _OTHER + b"\x01"}
_END = b"\x00"
# What a value of a wrong type raises in Python.
_NOT_PLAIN = (LookupError, AttributeError, TypeError, ValueError)


def encode_span(span: Span) -> bytes:
    """Return a span as a framed message, with the errors of `SPAN.encode`.

    It has the same bytes, too, unless its tags begin with many shared ones: these are a block of their own.
    """
    try:
        return _span(span)
    except _NOT_PLAIN:
        return SPAN.encode(span)


def encode_log(record: LogRecord) -> bytes:
    """Return a log record as a framed message, as `encode_span` does; errors as of `LOG_RECORD.encode`."""
    try:
        return _log(record)
    except _NOT_PLAIN:
        return LOG_RECORD.encode(record)


def _span(span: Span) -> bytes:
    annotations = span.get("annotations", ())
    debug, shared = span.get("debug"), span.get("shared")
    return b"".join(
        (
            SPAN.header,
            _flags(span),
            span["traceId"],
            string(span["id"]),
            _optional_string(span.get("parentId")),
            _KINDS[span.get("kind")],
            _optional_string(span.get("name")),
            _optional_long(span.get("timestamp")),
            _optional_long(span.get("duration")),
            _optional_endpoint(span.get("localEndpoint")),
            _optional_endpoint(span.get("remoteEndpoint")),
            _written(_ANNOTATIONS, annotations) if len(annotations) else _END,
            _map(span.get("tags", {})),
            _NULL if debug is None else _boolean(debug),
            _NULL if shared is None else _boolean(shared),
        )
    )


def _log(record: LogRecord) -> bytes:
    return b"".join(
        (
            LOG_RECORD.header,
            _flags(record),
            record["traceId"],
            string(record["id"]),
            _optional_string(record.get("spanId")),
            _long(record["timestamp"]),
            _optional_string(record.get("service")),
            _optional_string(record.get("level")),
            _optional_string(record.get("logger")),
            string(record["message"]),
            _optional_exception(record.get("exception")),
            _map(record.get("fields", {})),
        )
    )


def _flags(record: Span | LogRecord) -> bytes:
    """Return the flags; the trace id, which is written as it is, must fit."""
    flags, trace_id = record["flags"], record["traceId"]
    if flags < 0 or len(trace_id) != _TRACE_BYTES:
        raise ValueError
    return _FLAGS[flags]


def _long(value: int) -> bytes:
    if type(value) is not int or value not in _LONGS:
        raise TypeError
    return varint(value)


def _optional_long(value: int | None) -> bytes:
    return _NULL if value is None else _OTHER + _long(value)


def _optional_string(value: str | None) -> bytes:
    if value is None:
        return _NULL
    raw = str.encode(value)
    return _OTHER + LENGTHS[len(raw)] + raw


def _boolean(value: object) -> bytes:
    if type(value) is not bool:  # 1 equals True
        raise TypeError
    return _BOOLEANS[value]


def _optional_endpoint(endpoint: Endpoint | None) -> bytes:
    return _NULL if endpoint is None else _endpoint(*map(endpoint.get, _ENDPOINT_FIELDS))


# Typed, because True == 1 and 80.0 == 80: an invalid port must not hit the cache entry of a valid one.
@lru_cache(maxsize=4096, typed=True)
def _endpoint(*fields: object) -> bytes:
    return _OTHER + _written(_ENDPOINT, dict(zip(_ENDPOINT_FIELDS, fields, strict=True)))


def _optional_exception(exception: LoggedException | None) -> bytes:
    if exception is None:
        return _NULL
    kind, message, stack = exception.get("type"), exception.get("message"), exception.get("stackTrace")
    return _OTHER + _optional_string(kind) + _optional_string(message) + _optional_string(stack)


def _map(entries: Mapping[str, str]) -> bytes:
    shared = entries.shared_first() if type(entries) is Tags else None
    if shared is None:
        return map_block(len(entries), entries.items()) + _END
    number = len(shared)
    return shared.block + map_block(len(entries) - number, islice(entries.items(), number, None)) + _END


def _written(schema: Schema, value: Any) -> bytes:  # noqa: ANN401 - any value that the schema may take
    buffer = BytesIO()
    schemaless_writer(buffer, schema, value)
    return buffer.getvalue()
