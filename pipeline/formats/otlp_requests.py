"""Requests of OTLP over HTTP, gRPC or Kafka as records: `ExportTraceServiceRequest`, `ExportLogsServiceRequest`. Pure.

Each is read in protobuf and in JSON. The records are those that `tracelink.otel` makes of the SDK's spans and log
records. What is wrong with one record costs only that one.
"""

import re
from collections import Counter
from typing import Any

import orjson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from pipeline.formats import otlp_json_logs, otlp_proto_groups, otlp_proto_logs
from pipeline.formats.decoded import Decoded
from pipeline.formats.invalid_input import InvalidInput, shown
from pipeline.formats.json_values import load_json
from pipeline.formats.otlp_common import Common
from pipeline.formats.otlp_groups import Reader, require_at_most
from pipeline.formats.otlp_log_records import LogMaker
from pipeline.formats.otlp_messages import INVALID_UTF8, parsed
from pipeline.formats.otlp_proto_groups import converted, limiter
from pipeline.formats.otlp_proto_spans import span_of
from pipeline.formats.otlp_spans import require_at_most_spans, v2_spans
from pipeline.formats.zipkin_json import parse_span
from tracelink.model.records import ErrorRule, LogRecord, Span

Json = dict[str, Any]

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)


def spans_of_protobuf(body: bytes, rule: ErrorRule, most: int) -> Decoded[Span]:
    """Return the spans of a request; an empty body is an empty request.

    `rule` decides which are errored. Raises InvalidInput if the body is no protobuf, TooManyRecords if it has more than
    `most` spans, or too much around them (see `Limit`).
    """
    notes: Counter[str] = Counter()
    lists = otlp_proto_groups.SPANS
    request = parsed(body, ExportTraceServiceRequest, limiter(lists, most), notes)
    spans, invalid = converted(request, lists, lambda span, common: span_of(span, common, rule))
    return Decoded(spans, invalid, notes)


def spans_of_json(body: bytes, rule: ErrorRule, most: int) -> Decoded[Span]:
    """Return the spans of a request in JSON; arguments and errors as for `spans_of_protobuf`.

    Names that OTLP does not have are ignored. Ids may be base64, which is counted; enums may be names.
    """
    notes: Counter[str] = Counter()
    request = _object(body, notes, "resourceSpans", "resourceLogs")
    require_at_most_spans(most, request)
    spans: list[Span] = []
    invalid: list[InvalidInput] = []
    for place, found in v2_spans(request, notes, unknown=False):
        try:
            if isinstance(found, InvalidInput):
                raise found
            span = parse_span(found, rule)
        except InvalidInput as error:
            invalid.append(InvalidInput(error.reason, f"{place}: {error.detail}"))
        else:
            # The parser spells IPv6 addresses as Zipkin does; the SDK leaves them as they are.
            span["remoteEndpoint"] = found["remoteEndpoint"]
            spans.append(span)
    return Decoded(spans, invalid, notes)


def logs_of_protobuf(body: bytes, rule: ErrorRule, most: int, request: str, received: int) -> Decoded[LogRecord]:
    """Return the log records of a request; body, `rule`, `most` and errors as for `spans_of_protobuf`.

    `request` is a digest of the request, as hex: ids are made of it and of the record's number, so a repeated request
    repeats its ids. `received` is the time of records that have none, in microseconds since the epoch.
    """
    notes: Counter[str] = Counter()
    maker = LogMaker(rule, request, received)
    lists = otlp_proto_groups.LOGS
    message = parsed(body, ExportLogsServiceRequest, limiter(lists, most), notes)
    records, invalid = converted(
        message, lists, lambda record, common: maker.record(otlp_proto_logs.said_of(record), common, maker.next_id())
    )
    return Decoded(records, invalid, notes)


def logs_of_json(body: bytes, rule: ErrorRule, most: int, request: str, received: int) -> Decoded[LogRecord]:
    """Return the log records of a request in JSON; arguments and errors as for `logs_of_protobuf`."""
    notes: Counter[str] = Counter()
    maker = LogMaker(rule, request, received)
    value = _object(body, notes, "resourceLogs", "resourceSpans")
    require_at_most(most, value, otlp_json_logs.LOGS)

    def convert(record: object, common: Common) -> LogRecord:
        record_id = maker.next_id()
        return maker.record(otlp_json_logs.said_of(record, notes), common, record_id)

    records: list[LogRecord] = []
    invalid: list[InvalidInput] = []
    for place, found in Reader(otlp_json_logs.LOGS, convert).request(value):
        if isinstance(found, InvalidInput):
            invalid.append(InvalidInput(found.reason, f"{place}: {found.detail}"))
        else:
            records.append(found)
    return Decoded(records, invalid, notes)


def _object(body: bytes, notes: Counter[str], name: str, other: str) -> Json:
    """Return a request in JSON; raises InvalidInput, also for one of the other kind, of which nothing would be read."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:  # invalid UTF-8, or a number that JSON does not have
        value = load_json(body)
        notes += Counter({INVALID_UTF8: sum(not _is_utf8(text) for text in _STRING.findall(body))})
    if not isinstance(value, dict):
        raise InvalidInput("OTLP", f"a request is a JSON object, not {shown(value)}")
    if other in value and name not in value:
        raise InvalidInput("OTLP", f"the request has {other} where {name} are taken")
    return value


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
