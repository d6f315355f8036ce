"""Requests of OTLP over HTTP, gRPC or Kafka as records: `ExportTraceServiceRequest`, `ExportLogsServiceRequest`. Pure.

Each is read in protobuf and in JSON. The records are those that `tracelink.otel` makes of the SDK's spans and log
records. What is wrong with one record costs only that one.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from pipeline.formats import (
    otlp_groups,
    otlp_json_logs,
    otlp_proto_groups,
    otlp_proto_logs,
    otlp_proto_values,
    otlp_values,
)
from pipeline.formats.decoded import Decoded
from pipeline.formats.invalid_input import InvalidInput, shown
from pipeline.formats.otlp_common import Common, Limit
from pipeline.formats.otlp_log_records import LogMaker
from pipeline.formats.otlp_messages import parsed
from pipeline.formats.otlp_proto_groups import converted
from pipeline.formats.otlp_proto_spans import SpanDecoder
from pipeline.formats.otlp_spans import is_otlp, v2_spans_of_request
from pipeline.formats.request_bytes import request_json
from pipeline.formats.zipkin_json import parse_span
from tracelink.model.records import ErrorRule, LogRecord, Span

Json = dict[str, Any]
R = TypeVar("R")


def spans_of_protobuf(body: bytes, rule: ErrorRule, most: int) -> Decoded[Span]:
    """Return the spans of a request; an empty body is an empty request.

    `rule` decides which are errored. Raises InvalidInput if the body is no protobuf; TooManyRecords if it has more than
    `most` spans, before any of them is read, or too much in them and around them (see `Limit`).
    """

    def converter(values: otlp_proto_values.Values, limit: Limit) -> Callable[[Any, Common], Span]:
        return SpanDecoder(rule, values, limit).span

    return _of_protobuf(body, ExportTraceServiceRequest, otlp_proto_groups.SPANS, most, converter)


def spans_of_json(body: bytes, rule: ErrorRule, most: int) -> Decoded[Span]:
    """Return the spans of a request in JSON; arguments and errors as for `spans_of_protobuf`.

    Names that OTLP does not have are ignored. Ids may be base64, which is counted; enums may be names.
    """
    notes: Counter[str] = Counter()
    request = _object(body, notes, "resourceSpans", "resourceLogs", is_otlp)
    found = v2_spans_of_request(request, Limit(most), notes)
    return _decoded(((place, _parsed(one, rule)) for place, one in found), notes)


def _parsed(found: Json | InvalidInput, rule: ErrorRule) -> Span | InvalidInput:
    """Return the span of an object of Zipkin v2, or why it is none."""
    if isinstance(found, InvalidInput):
        return found
    try:
        span = parse_span(found, rule)
    except InvalidInput as error:
        return error
    # The parser spells IPv6 addresses as Zipkin does; the SDK leaves them as they are.
    span["remoteEndpoint"] = found["remoteEndpoint"]
    return span


def logs_of_protobuf(body: bytes, rule: ErrorRule, most: int, request: str, received: int) -> Decoded[LogRecord]:
    """Return the log records of a request; body, `rule`, `most` and errors as for `spans_of_protobuf`.

    `request` is a digest of the request, as hex: ids are made of it and of the record's number, so a repeated request
    repeats its ids. `received` is the time of records that have none, in microseconds since the epoch.
    """
    maker = LogMaker(rule, request, received)

    def converter(values: otlp_proto_values.Values, _: Limit) -> Callable[[Any, Common], LogRecord]:
        return lambda record, common: maker.record(otlp_proto_logs.said_of(record, values), common, maker.next_id())

    return _of_protobuf(body, ExportLogsServiceRequest, otlp_proto_groups.LOGS, most, converter)


def _of_protobuf(
    body: bytes,
    kind: type[Message],
    lists: otlp_proto_groups.Lists,
    most: int,
    converter: Callable[[otlp_proto_values.Values, Limit], Callable[[Any, Common], R]],
) -> Decoded[R]:
    """Return the records of a request of this kind; `converter` makes what converts one of them."""
    notes: Counter[str] = Counter()
    limit = Limit(most)
    request = parsed(body, kind, partial(otlp_proto_groups.check, lists=lists, limit=limit), most, notes)
    values = otlp_proto_values.Values(limit)
    return Decoded(*converted(request, lists, values, converter(values, limit)), notes)


def logs_of_json(body: bytes, rule: ErrorRule, most: int, request: str, received: int) -> Decoded[LogRecord]:
    """Return the log records of a request in JSON; arguments and errors as for `logs_of_protobuf`."""
    notes: Counter[str] = Counter()
    limit = Limit(most)
    value = _object(body, notes, "resourceLogs", "resourceSpans", _has_logs)
    otlp_groups.check(value, otlp_json_logs.LOGS, limit)
    values = otlp_values.Values(limit)
    maker = LogMaker(rule, request, received)

    def convert(record: object, common: Common) -> LogRecord:
        record_id = maker.next_id()
        return maker.record(otlp_json_logs.said_of(record, values, notes), common, record_id)

    return _decoded(otlp_groups.Reader(otlp_json_logs.LOGS, values, convert).request(value), notes)


def _has_logs(value: Json) -> bool:
    return not value.keys().isdisjoint(otlp_json_logs.LOGS.resources)


def _decoded(found: Iterable[tuple[str, R | InvalidInput]], notes: Counter[str]) -> Decoded[R]:
    """Part records and errors, each of which comes with its place."""
    decoded: Decoded[R] = Decoded([], [], notes)
    for place, one in found:
        if isinstance(one, InvalidInput):
            decoded.invalid.append(one.at(place))
        else:
            decoded.records.append(one)
    return decoded


def _object(body: bytes, notes: Counter[str], name: str, other: str, is_request: Callable[[Json], bool]) -> Json:
    """Return a request in JSON; raises InvalidInput, also for one of the other kind, of which nothing would be read."""
    value = request_json(body, notes)
    if not isinstance(value, dict):
        raise InvalidInput("OTLP", f"a request is a JSON object, not {shown(value)}")
    if other in value and name not in value:
        raise InvalidInput("OTLP", f"the request has {other} where {name} are taken")
    if value and not is_request(value):
        raise InvalidInput("OTLP", f"the request has no {name}: it may be one for another path")
    return value
