"""Encoding of records as Kafka messages: topic, key, value."""

from binascii import hexlify
from collections.abc import Callable
from functools import lru_cache
from io import BytesIO
from typing import Any, Literal, NamedTuple, TypeVar, cast

from fastavro import parse_schema, schemaless_writer

from tracelink.kafka.topics import TopicNames
from tracelink.model.codec import LOG_RECORD, SPAN, Schema
from tracelink.model.records import NO_TRACE, LogRecord, Span
from tracelink.model.truncation import truncated

R = TypeVar("R", Span, LogRecord)

SPANS = "span"
LOGS = "log"
UNLINKED_LOGS = "unlinked_log"
KINDS = (SPANS, LOGS, UNLINKED_LOGS)
"""The kinds of messages; metrics and summaries use these names."""


# Key and fields of a record in Kafka's format: librdkafka's limit includes up to 68 of them.
_FRAME_BYTES = 128
_FIELDS = SPAN.schema["fields"]
_LOCAL, _REMOTE = (at for at, field in enumerate(_FIELDS) if field["name"].endswith("Endpoint"))
_BEFORE_ENDPOINTS = SPAN.schema | {"fields": _FIELDS[:_LOCAL]}
_AFTER_ENDPOINTS = SPAN.schema | {"fields": _FIELDS[_REMOTE + 1 :]}
_ENDPOINT = cast("Schema", parse_schema(_FIELDS[_LOCAL]["type"][1]))
_ENDPOINT_FIELDS = tuple(field["name"] for field in _ENDPOINT["fields"])
# The Avro index of the branch in the union of null and endpoint.
_IS_NULL, _IS_ENDPOINT = b"\x00", b"\x02"


class EncodedRecord(NamedTuple):
    """One message: the key is the trace id as 32 lower-case hex characters, or None for a log without a trace."""

    kind: str
    topic: str
    key: bytes | None
    value: bytes


def fitting(
    message: EncodedRecord,
    record: R,
    encode: Callable[[R], EncodedRecord],
    max_record_bytes: int,
    notes: Literal["tags", "fields"],
) -> EncodedRecord:
    """Return the message of a record; if it is too large, one of the record with its longest texts cut."""
    excess = len(message.value) + _FRAME_BYTES - max_record_bytes
    return message if excess <= 0 else encode(truncated(record, excess, notes))


class RecordEncoder:
    """Makes messages for the topics under a prefix; its methods raise KeyError and the errors of `Codec.encode`."""

    def __init__(self, names: TopicNames) -> None:
        self._spans = names.spans
        self._logs = names.logs
        self._unlinked_logs = names.unlinked_logs

    def span(self, span: Span) -> EncodedRecord:
        """Return the message of a span."""
        return EncodedRecord(SPANS, self._spans, hexlify(span["traceId"]), _encoded(span))

    def log(self, record: LogRecord) -> EncodedRecord:
        """Return the message of a log record; one without a trace goes to `unlinked-logs`, to a random partition."""
        trace_id = record["traceId"]
        value = LOG_RECORD.encode(record)
        if trace_id == NO_TRACE:
            return EncodedRecord(UNLINKED_LOGS, self._unlinked_logs, None, value)
        return EncodedRecord(LOGS, self._logs, hexlify(trace_id), value)


def _encoded(span: Span) -> bytes:
    """Encode as `SPAN.encode` does, but faster: endpoints are cached, each costs fastavro as much as nine tags."""
    buffer = BytesIO()
    buffer.write(SPAN.header)
    schemaless_writer(buffer, _BEFORE_ENDPOINTS, cast("dict[str, Any]", span))
    for endpoint in (span.get("localEndpoint"), span.get("remoteEndpoint")):
        buffer.write(_IS_NULL if endpoint is None else _endpoint(*map(endpoint.get, _ENDPOINT_FIELDS)))
    schemaless_writer(buffer, _AFTER_ENDPOINTS, cast("dict[str, Any]", span))
    return buffer.getvalue()


# Typed, because True == 1 and 80.0 == 80: an invalid port must not hit the cache entry of a valid one.
@lru_cache(maxsize=4096, typed=True)
def _endpoint(*fields: object) -> bytes:
    buffer = BytesIO()
    buffer.write(_IS_ENDPOINT)
    schemaless_writer(buffer, _ENDPOINT, dict(zip(_ENDPOINT_FIELDS, fields, strict=True)))
    return buffer.getvalue()
