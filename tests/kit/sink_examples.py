"""Records, parts and messages as the pipeline has them, small."""

import uuid
from collections.abc import Sequence
from typing import cast

from pipeline.model.dead_letters import Origin
from pipeline.model.splice import splice
from sinks.base.contract import Batch, Part, SourceMessage
from sinks.base.decoding import decode, record_kinds
from tracelink.kafka.topics import TopicNames
from tracelink.model.codec import LOG_RECORD, SPAN
from tracelink.model.records import Flag, LogRecord, Span

START = 1_767_225_600_000_000
"""2026-01-01T00:00:00Z in microseconds."""
YEAR_3000 = 32_503_680_000_000_000
TOPIC = "traces"
UNLINKED = "unlinked-logs"
KINDS = record_kinds(TopicNames(""))


def new_trace_id() -> bytes:
    return uuid.uuid4().bytes


def span(trace_id: bytes, span_id: str = "00000000000000a1", **fields: object) -> Span:
    made: dict[str, object] = {
        "flags": 0,
        "traceId": trace_id,
        "id": span_id,
        "kind": "SERVER",
        "name": "get /cart",
        "timestamp": START,
        "duration": 20_000,
        "localEndpoint": {"serviceName": "cart"},
        "tags": {"http.method": "GET"},
    }
    return cast("Span", made | fields)


def log(trace_id: bytes, **fields: object) -> LogRecord:
    made: dict[str, object] = {
        "flags": 0,
        "traceId": trace_id,
        "id": uuid.uuid4().hex,
        "timestamp": START + 1000,
        "service": "cart",
        "level": "INFO",
        "message": "emptied",
    }
    return cast("LogRecord", made | fields)


def trace_message(
    spans: Sequence[Span] = (),
    logs: Sequence[LogRecord] = (),
    *,
    name: str = "s0-1",
    opened: int = START // 1000,
    extra_spans: Sequence[bytes] = (),
) -> bytes:
    """Return the message of a part; `extra_spans` are framed messages that need not decode."""
    records = [*spans, *logs]
    flags = 0
    for record in records:
        flags |= record["flags"]
    return splice(
        flags=2 * flags,
        trace_id=records[0]["traceId"],
        name=name,
        opened=opened,
        closed=opened + 5000,
        reason=0,
        spans=[*(SPAN.encode(one) for one in spans), *extra_spans],
        logs=[LOG_RECORD.encode(one) for one in logs],
    )


def message(value: bytes, *, topic: str = TOPIC, partition: int = 0, offset: int = 0) -> SourceMessage:
    return SourceMessage(Origin(topic, partition, offset, START // 1000), b"key", value)


def part(spans: Sequence[Span] = (), logs: Sequence[LogRecord] = (), *, name: str = "s0-1") -> Part:
    (made,) = decode([message(trace_message(spans, logs, name=name))], KINDS).parts
    return made


def batch(*parts: Part) -> Batch:
    return Batch(parts)


ERRORED = int(Flag.ERROR)
ROOT = int(Flag.ROOT)
