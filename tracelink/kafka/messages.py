"""Encoding of records as Kafka messages: topic, key, value."""

from binascii import hexlify
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeVar, cast

from tracelink.kafka.topics import TopicNames
from tracelink.model.encoding import encode_log, encode_span
from tracelink.model.records import NO_TRACE, LogRecord, Span
from tracelink.model.shared_tags import Tags
from tracelink.model.truncation import truncated

R = TypeVar("R", Span, LogRecord)

SPANS = "span"
LOGS = "log"
UNLINKED_LOGS = "unlinked_log"
KINDS = (SPANS, LOGS, UNLINKED_LOGS)
"""The kinds of messages; metrics and summaries use these names."""


# Key and fields of a record in Kafka's format: librdkafka's limit includes up to 68 of them.
_FRAME_BYTES = 128


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
    if excess <= 0:
        return message
    tags = record.get(notes)
    if isinstance(tags, Tags):  # with all tags in one block it has a byte less, or two
        plain = cast("R", {**record, notes: tags.copy()})
        return fitting(encode(plain), plain, encode, max_record_bytes, notes)
    return encode(truncated(record, excess, notes))


class RecordEncoder:
    """Makes messages for the topics under a prefix; its methods raise KeyError and the errors of `Codec.encode`."""

    def __init__(self, names: TopicNames) -> None:
        self._spans = names.spans
        self._logs = names.logs
        self._unlinked_logs = names.unlinked_logs

    def span(self, span: Span) -> EncodedRecord:
        """Return the message of a span."""
        return EncodedRecord(SPANS, self._spans, hexlify(span["traceId"]), encode_span(span))

    def log(self, record: LogRecord) -> EncodedRecord:
        """Return the message of a log record; one without a trace goes to `unlinked-logs`, to a random partition."""
        trace_id = record["traceId"]
        value = encode_log(record)
        if trace_id == NO_TRACE:
            return EncodedRecord(UNLINKED_LOGS, self._unlinked_logs, None, value)
        return EncodedRecord(LOGS, self._logs, hexlify(trace_id), value)
