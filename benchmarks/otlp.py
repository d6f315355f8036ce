"""The records of a load as OTLP, for peers that read it."""

from binascii import hexlify
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from confluent_kafka.admin import AdminClient
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from benchmarks.load import Load, Message, held, renew, send
from benchmarks.traffic import ids_of, order, stream
from tracelink.kafka.topics import TopicNames
from tracelink.model.codec import LOG_RECORD, SPAN
from tracelink.model.records import Flag, LogRecord, Span

_NANOSECONDS = 1000
"""In a microsecond, the unit of our records."""


class _Source(NamedTuple):
    """The source of a record: a message has records of one source."""

    is_span: bool
    service: str
    logger: str


class _Piece(NamedTuple):
    """A record to multiply under fresh trace ids."""

    source: _Source
    record: trace_pb2.Span | logs_pb2.LogRecord


@dataclass(frozen=True, slots=True)
class OtlpLoad:
    """The records of a load in its order; a message has `batch` records of one service, as SDKs send them."""

    load: Load
    batch: int

    @property
    def prefix(self) -> str:
        """The prefix of the topics' names."""
        return f"bench.otlp.{self.batch}."

    def ensure(self, kafka: str, say: Callable[[str], None]) -> None:
        """Make the load if it does not exist yet."""
        names = TopicNames(self.prefix)
        templates = self._templates()
        if (held(kafka, names.spans), held(kafka, names.logs)) != self._messages_in(templates):
            say(f"making the load {self.load.name} as OTLP, {self.batch} records a message, once")
            renew(AdminClient({"bootstrap.servers": kafka}), [names.spans, names.logs])
            send(kafka, self._messages(templates))

    def _templates(self) -> list[list[_Piece]]:
        templates = self.load.templates()
        pieces = (
            _span(SPAN.decode(record.value)) if record.is_span else _log(LOG_RECORD.decode(record.value))
            for record in stream(templates, len(templates), gap=0)  # each trace once, one after another
        )
        return [list(islice(pieces, len(template))) for template in templates]

    def _messages(self, templates: Sequence[Sequence[_Piece]]) -> Iterator[Message]:
        names = TopicNames(self.prefix)
        ids = ids_of(self.load.traces)
        batches = {piece.source: _batch(piece.source) for template in templates for piece in template}
        for number, place in order(templates, self.load.traces, self.load.gap):
            source, record = templates[number % len(templates)][place]
            data, records = batches[source]
            record.trace_id = ids[number]
            records.append(record)  # a copy
            if len(records) == self.batch:
                key = hexlify(ids[number]) if self.batch == 1 else None
                yield Message(names.spans if source.is_span else names.logs, key, data.SerializeToString())
                del records[:]
        for source, (data, records) in batches.items():
            if records:
                yield Message(names.spans if source.is_span else names.logs, None, data.SerializeToString())

    def _messages_in(self, templates: Sequence[Sequence[_Piece]]) -> tuple[int, int]:
        """Count the messages of spans and of log lines."""
        records: Counter[_Source] = Counter()
        for number, template in enumerate(templates):
            for piece in template:
                records[piece.source] += len(range(number, self.load.traces, len(templates)))
        messages: Counter[bool] = Counter()
        for source, count in records.items():
            messages[source.is_span] += -(-count // self.batch)
        return messages[True], messages[False]


# protobuf names no public type of a repeated field.
def _batch(source: _Source) -> tuple[trace_pb2.TracesData | logs_pb2.LogsData, Any]:
    """Return an empty message of a source, and its list of records."""
    resource = Resource(attributes=_attributes({"service.name": source.service}))
    scope = InstrumentationScope(name=source.logger)
    if source.is_span:
        scope_spans = [trace_pb2.ScopeSpans(scope=scope)]
        spans = trace_pb2.TracesData(
            resource_spans=[trace_pb2.ResourceSpans(resource=resource, scope_spans=scope_spans)]
        )
        return spans, spans.resource_spans[0].scope_spans[0].spans
    scope_logs = [logs_pb2.ScopeLogs(scope=scope)]
    logs = logs_pb2.LogsData(resource_logs=[logs_pb2.ResourceLogs(resource=resource, scope_logs=scope_logs)])
    return logs, logs.resource_logs[0].scope_logs[0].log_records


def _span(span: Span) -> _Piece:
    start = (span["timestamp"] or 0) * _NANOSECONDS
    errored = span["flags"] & Flag.ERROR
    record = trace_pb2.Span(
        trace_id=span["traceId"],
        span_id=bytes.fromhex(span["id"]),
        parent_span_id=bytes.fromhex(span["parentId"] or ""),
        name=span["name"] or "",
        kind=trace_pb2.Span.SpanKind.Value(f"SPAN_KIND_{span['kind']}"),
        start_time_unix_nano=start,
        end_time_unix_nano=start + (span["duration"] or 0) * _NANOSECONDS,
        attributes=_attributes(span["tags"]),
        status=trace_pb2.Status(code=trace_pb2.Status.STATUS_CODE_ERROR) if errored else None,
    )
    service = (span["localEndpoint"] or {}).get("serviceName") or ""
    return _Piece(_Source(is_span=True, service=service, logger=""), record)


def _log(log: LogRecord) -> _Piece:
    level = log["level"] or ""
    record = logs_pb2.LogRecord(
        trace_id=log["traceId"],
        span_id=bytes.fromhex(log["spanId"] or ""),
        time_unix_nano=log["timestamp"] * _NANOSECONDS,
        severity_text=level,
        severity_number=logs_pb2.SeverityNumber.Value(f"SEVERITY_NUMBER_{level}"),
        body=AnyValue(string_value=log["message"]),
        attributes=_attributes(log["fields"]),
    )
    return _Piece(_Source(is_span=False, service=log["service"] or "", logger=log["logger"] or ""), record)


def _attributes(values: Mapping[str, str]) -> list[KeyValue]:
    return [KeyValue(key=name, value=AnyValue(string_value=value)) for name, value in values.items()]
