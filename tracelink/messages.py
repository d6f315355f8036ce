"""Records as Kafka messages: which topic, under which key."""

from binascii import hexlify
from typing import Any, NamedTuple, cast

from tracelink.codec import LOG_RECORD, SPAN
from tracelink.records import NO_TRACE, LogRecord, Span
from tracelink.topics import TopicNames

SPANS = "span"
LOGS = "log"
UNLINKED_LOGS = "unlinked_log"
KINDS = (SPANS, LOGS, UNLINKED_LOGS)
"""The kinds of messages, as metrics and summaries name them."""


_ENDPOINT = "tracelink.Endpoint"


class Message(NamedTuple):
    """One message: the key is the trace id as 32 lower-case hex characters, or None for a log without a trace."""

    kind: str
    topic: str
    key: bytes | None
    value: bytes


class Messages:
    """Makes messages for the topics under a prefix; its methods raise what `Codec.encode` does, and KeyError."""

    def __init__(self, names: TopicNames) -> None:
        self._spans = names.spans
        self._logs = names.logs
        self._unlinked_logs = names.unlinked_logs

    def span(self, span: Span) -> Message:
        """Return the message of a span."""
        return Message(SPANS, self._spans, hexlify(span["traceId"]), SPAN.encode(_hinted(span)))

    def log(self, record: LogRecord) -> Message:
        """Return the message of a log record; one without a trace goes to a topic of its own, spread by chance."""
        trace_id = record["traceId"]
        value = LOG_RECORD.encode(record)
        if trace_id == NO_TRACE:
            return Message(UNLINKED_LOGS, self._unlinked_logs, None, value)
        return Message(LOGS, self._logs, hexlify(trace_id), value)


def _hinted(span: Span) -> Span:
    """Name the endpoints' type to fastavro, which otherwise tries every branch of the union: a third of its time."""
    hinted = cast("dict[str, Any]", span.copy())
    for name in ("localEndpoint", "remoteEndpoint"):
        if hinted.get(name) is not None:
            hinted[name] = (_ENDPOINT, hinted[name])
    return cast("Span", hinted)
