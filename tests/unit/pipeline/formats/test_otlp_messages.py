"""Invalid UTF-8 in a request of OTLP costs the string that it is in."""

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as LogMessage

from pipeline.formats.decoded import TooManyRecords
from tests.kit import otlp
from tests.kit.otlp_decoders import BOTH, Messages, body_of, logs_of, spans_of


def _attribute(owner: Any, key: str, value: str) -> None:  # noqa: ANN401 - a message with attributes
    owner.attributes.add(key=key).value.string_value = value


def _in_list(span: Any, text: str) -> None:  # noqa: ANN401 - as above
    span.attributes.add(key="a").value.array_value.values.add().string_value = text


def _in_map(span: Any, text: str) -> None:  # noqa: ANN401 - as above
    span.attributes.add(key="a").value.kvlist_value.values.add(key=text).value.int_value = 1


# The places of strings in a resource, a scope and a span.
WRITERS: dict[str, Callable[[Any, Any, Any, str], None]] = {
    "resource url": lambda resource, _scope, _span, text: setattr(resource, "schema_url", text),
    "resource key": lambda resource, _scope, _span, text: _attribute(resource.resource, text, "x"),
    "service": lambda resource, _scope, _span, text: _attribute(resource.resource, "service.name", text),
    "entity": lambda resource, _scope, _span, text: resource.resource.entity_refs.add().id_keys.append(text),
    "scope url": lambda _resource, scope, _span, text: setattr(scope, "schema_url", text),
    "scope name": lambda _resource, scope, _span, text: setattr(scope.scope, "name", text),
    "scope version": lambda _resource, scope, _span, text: setattr(scope.scope, "version", text),
    "scope attribute": lambda _resource, scope, _span, text: _attribute(scope.scope, "a", text),
    "name": lambda _resource, _scope, span, text: setattr(span, "name", text),
    "state": lambda _resource, _scope, span, text: setattr(span, "trace_state", text),
    "key": lambda _resource, _scope, span, text: _attribute(span, text, "x"),
    "value": lambda _resource, _scope, span, text: _attribute(span, "a", text),
    "in a list": lambda _resource, _scope, span, text: _in_list(span, text),
    "in a map": lambda _resource, _scope, span, text: _in_map(span, text),
    "event": lambda _resource, _scope, span, text: span.events.add(name=text, time_unix_nano=otlp.START),
    "event attribute": lambda _resource, _scope, span, text: _attribute(
        span.events.add(time_unix_nano=otlp.START), "a", text
    ),
    "link": lambda _resource, _scope, span, text: span.links.add(trace_state=text),
    "status": lambda _resource, _scope, span, text: setattr(span.status, "message", text),
}


LOG_WRITERS: dict[str, Callable[[Any, str], None]] = {
    "severity": lambda record, text: setattr(record, "severity_text", text),
    "event": lambda record, text: setattr(record, "event_name", text),
    "body": lambda record, text: setattr(record.body, "string_value", text),
    "key": lambda record, text: _attribute(record, text, "x"),
}


def spans_with(text: str, *places: str) -> ExportTraceServiceRequest:
    """Return a request with a text in some places."""
    request = otlp.spans_request(otlp.span_message())
    resource = request.resource_spans[0]
    scope = resource.scope_spans[0]
    for place in places:
        WRITERS[place](resource, scope, scope.spans[0], text)
    return request


def broken(request: Messages, *, as_json: bool) -> bytes:
    """Return a body in which PLACE, a text in it, is no UTF-8."""
    return body_of(request, as_json=as_json).replace(b"PLACE", b"PL\xffCE")


@BOTH
@pytest.mark.parametrize("place", WRITERS)
def test_invalid_utf8_in_a_string_of_a_span_costs_only_that_string(place: str, *, as_json: bool) -> None:
    expected = spans_of(body_of(spans_with("PL\ufffdCE", place), as_json=as_json), as_json=as_json)
    found = spans_of(broken(spans_with("PLACE", place), as_json=as_json), as_json=as_json)
    assert found.records == expected.records
    assert (expected.notes, found.notes) == ({}, {"invalid UTF-8": 1})


@BOTH
@pytest.mark.parametrize("place", LOG_WRITERS)
def test_invalid_utf8_in_a_string_of_a_log_record_costs_only_that_string(place: str, *, as_json: bool) -> None:
    requests = [otlp.logs_request(LogMessage(time_unix_nano=otlp.START)) for _ in range(2)]
    for request, text in zip(requests, ("PL\ufffdCE", "PLACE"), strict=True):
        LOG_WRITERS[place](request.resource_logs[0].scope_logs[0].log_records[0], text)
    found = logs_of(broken(requests[1], as_json=as_json), as_json=as_json)
    assert found.records == logs_of(body_of(requests[0], as_json=as_json), as_json=as_json).records
    assert found.notes == {"invalid UTF-8": 1}


@BOTH
def test_each_string_of_invalid_utf8_is_counted_and_other_texts_stay(*, as_json: bool) -> None:
    request = spans_with("PLACE", *WRITERS)
    request.resource_spans[0].scope_spans[0].spans[0].attributes.add(key="é").value.string_value = "\u2028ok"
    request.resource_spans[0].scope_spans[0].spans[0].attributes.add(key="raw").value.bytes_value = b"\xff"
    found = spans_of(broken(request, as_json=as_json), as_json=as_json)
    assert found.notes == {"invalid UTF-8": len(WRITERS)}
    assert (found.records[0]["tags"]["é"], found.records[0]["tags"]["raw"]) == ("\u2028ok", "ff")


def test_too_many_records_with_invalid_utf8_are_refused_before_their_strings_are_read() -> None:
    request = otlp.spans_request(*[otlp.span_message()] * 11)
    request.resource_spans[0].schema_url = "PLACE"
    with pytest.raises(TooManyRecords):
        spans_of(broken(request, as_json=False), as_json=False, most=10)


def test_the_strings_that_are_looked_at_are_limited() -> None:
    request = otlp.spans_request(otlp.span_message())
    for _ in range(81):
        request.resource_spans[0].resource.entity_refs.add(type="PLACE")
    with pytest.raises(TooManyRecords):
        spans_of(broken(request, as_json=False), as_json=False, most=1)
