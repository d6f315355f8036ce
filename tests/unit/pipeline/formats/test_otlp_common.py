"""Requests of OTLP with too much of anything."""

from typing import Any

import orjson
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as LogMessage

from pipeline.formats.decoded import TooManyRecords
from pipeline.formats.otlp_requests import logs_of_json, logs_of_protobuf, spans_of_json, spans_of_protobuf
from tests.kit import otlp
from tests.kit.otlp_decoders import BOTH, DIGEST, RECEIVED, body_of, logs_of, spans_of
from tracelink.model.records import ErrorRule


class NoRule(ErrorRule):
    """Fails if any record is mapped."""

    def span(self, tags: object) -> bool:
        raise AssertionError(tags)

    def log(self, level: object) -> bool:
        raise AssertionError(level)


def crowded(
    groups: int, scopes: int, records: int, shared: int = 0
) -> tuple[ExportTraceServiceRequest, ExportLogsServiceRequest]:
    """Return requests with so many resources, scopes in each, records in each, and attributes of each resource."""
    spans, logs = ExportTraceServiceRequest(), ExportLogsServiceRequest()
    for _ in range(groups):
        of_spans, of_logs = spans.resource_spans.add(), logs.resource_logs.add()
        for number in range(shared):
            of_spans.resource.attributes.add(key=str(number))
            of_logs.resource.attributes.add(key=str(number))
        for _ in range(scopes):
            of_spans.scope_spans.add().spans.extend([otlp.span_message()] * records)
            of_logs.scope_logs.add().log_records.extend([LogMessage(severity_text="x")] * records)
    return spans, logs


@BOTH
@pytest.mark.parametrize("sizes", [(21, 0, 0), (1, 20, 0), (1, 1, 11), (2, 2, 3), (1, 1, 2, 501), (5, 2, 1, 101)])
def test_a_request_with_too_much_is_refused_before_any_record_is_mapped(
    sizes: tuple[int, ...], *, as_json: bool
) -> None:
    spans, logs = crowded(*sizes)
    with pytest.raises(TooManyRecords):
        (spans_of_json if as_json else spans_of_protobuf)(body_of(spans, as_json=as_json), NoRule(), 10)
    decode = logs_of_json if as_json else logs_of_protobuf
    with pytest.raises(TooManyRecords):
        decode(body_of(logs, as_json=as_json), NoRule(), 10, DIGEST, RECEIVED)


def many(kind: str, number: int) -> Any:  # noqa: ANN401 - fields of a message
    """Return the fields of a span that has so many parts of a kind."""
    pairs = [{"key": "a"}] * number
    value: dict[str, Any] = {
        "list": {"array_value": {"values": [{}] * number}},
        "map": {"kvlist_value": {"values": pairs}},
    }
    return {
        "attributes": {"attributes": pairs},
        "events": {"events": [{"time_unix_nano": otlp.START}] * number},
        "links": {"links": [{}] * number},
        "of an event": {"events": [{"attributes": pairs}]},
        "of a link": {"links": [{"attributes": pairs}]},
        "list": {"attributes": [{"value": value["list"]}]},
        "map": {"attributes": [{"value": value["map"]}]},
    }[kind]


@BOTH
@pytest.mark.parametrize("kind", ["attributes", "events", "links", "of an event", "of a link", "list", "map"])
def test_a_span_may_have_many_parts_but_not_any_number(kind: str, *, as_json: bool) -> None:
    allowed = 39 if kind in {"of an event", "of a link", "list", "map"} else 40
    body = body_of(otlp.spans_request(otlp.span_message(**many(kind, allowed))), as_json=as_json)
    assert len(spans_of(body, as_json=as_json, most=1).records) == 1
    body = body_of(otlp.spans_request(otlp.span_message(**many(kind, allowed + 1))), as_json=as_json)
    with pytest.raises(TooManyRecords):
        spans_of(body, as_json=as_json, most=1)


@BOTH
def test_the_values_of_a_log_record_are_limited_too(*, as_json: bool) -> None:
    record = LogMessage(time_unix_nano=otlp.START)
    for _ in range(41):
        record.body.array_value.values.add()
    with pytest.raises(TooManyRecords):
        logs_of(body_of(otlp.logs_request(record), as_json=as_json), as_json=as_json, most=1)


@BOTH
def test_a_request_with_as_much_as_is_taken_is_taken(*, as_json: bool) -> None:
    spans, logs = crowded(2, 1, 5, 100)
    assert len(spans.resource_spans[0].resource.attributes) == 100
    assert len(spans_of(body_of(spans, as_json=as_json), as_json=as_json, most=10).records) == 10
    assert len(logs_of(body_of(logs, as_json=as_json), as_json=as_json, most=10).records) == 10


def test_too_many_spans_in_an_envelope_are_refused_too() -> None:
    group = orjson.loads(otlp.as_json(crowded(1, 1, 11)[0]))["resourceSpans"][0]
    for value in group, {"batches": [group]}, {"trace": {"resourceSpans": [group]}}:
        with pytest.raises(TooManyRecords):
            spans_of(orjson.dumps(value), as_json=True, most=10)
