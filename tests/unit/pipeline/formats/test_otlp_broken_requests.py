"""Requests of OTLP that are broken, too large, or hostile: no input raises anything but the two errors that say so."""

import contextlib
import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as LogMessage
from opentelemetry.sdk.trace import ReadableSpan

from pipeline.formats.decoded import Decoded, TooManyRecords
from pipeline.formats.invalid_input import InvalidInput
from pipeline.formats.otlp_requests import logs_of_json, logs_of_protobuf, spans_of_json, spans_of_protobuf
from tests.kit import otlp
from tracelink.model.codec import LOG_RECORD, SPAN
from tracelink.model.records import ErrorRule, LogRecord, Span

DIGEST = "0123456789abcdef0123456789abcdef"
RECEIVED = 1_795_162_531_000_000
BOTH = pytest.mark.parametrize("as_json", [False, True])
Messages = ExportTraceServiceRequest | ExportLogsServiceRequest


def spans_of(body: bytes, *, as_json: bool, most: int = 100) -> Decoded[Span]:
    """Decode a request; each of its spans can be encoded."""
    found = (spans_of_json if as_json else spans_of_protobuf)(body, ErrorRule(), most)
    for span in found.records:
        SPAN.encode(span)
    return found


def logs_of(body: bytes, *, as_json: bool, most: int = 100) -> Decoded[LogRecord]:
    """Decode a request; each of its log records can be encoded."""
    found = (logs_of_json if as_json else logs_of_protobuf)(body, ErrorRule(), most, DIGEST, RECEIVED)
    for record in found.records:
        LOG_RECORD.encode(record)
    return found


def body_of(request: Messages, *, as_json: bool) -> bytes:
    return otlp.as_json(request) if as_json else request.SerializeToString()


DECODERS = [spans_of, logs_of]


def test_an_empty_body_of_protobuf_is_an_empty_request_and_so_is_an_empty_object() -> None:
    for decode in DECODERS:
        assert decode(b"", as_json=False) == decode(b"{}", as_json=True) == ([], [], {})


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "no JSON"), (b"[", "no JSON"), (b"\x0a\x03abc", "no JSON"), (b"[" * 100_000, "no JSON"),
        (b"[]", "OTLP"), (b"7", "OTLP"), (b"null", "OTLP"), (b'"x"', "OTLP"), (b"[" * 1010 + b"]" * 1010, "OTLP"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("decode", DECODERS, ids=["spans", "logs"])
def test_a_body_that_is_no_object_of_json_is_refused(
    decode: Callable[..., Decoded[Any]], body: bytes, reason: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        decode(body, as_json=True)
    assert refused.value.reason == reason


@pytest.mark.parametrize("body", [b"{}", b"\x0a", b"\x0a\x05abc", b"\xff" * 20, b"\x0a\x02\x0a\x05"])
@pytest.mark.parametrize("decode", DECODERS, ids=["spans", "logs"])
def test_a_body_that_is_no_protobuf_is_refused(decode: Callable[..., Decoded[Any]], body: bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        decode(body, as_json=False)
    assert refused.value.reason == "no protobuf"


def test_a_request_of_the_other_kind_is_refused_and_not_taken_for_an_empty_one() -> None:
    spans, logs = otlp.spans_request(otlp.span_message()), otlp.logs_request(LogMessage(time_unix_nano=1))
    with pytest.raises(InvalidInput, match="the request has resourceLogs where resourceSpans are taken"):
        spans_of(otlp.as_json(logs), as_json=True)
    with pytest.raises(InvalidInput, match="the request has resourceSpans where resourceLogs are taken"):
        logs_of(otlp.as_json(spans), as_json=True)
    (error,) = spans_of(logs.SerializeToString(), as_json=False).invalid
    assert error.reason == "traceId"


@BOTH
def test_a_body_that_is_cut_off_is_refused_or_has_the_records_before_the_cut(*, as_json: bool) -> None:
    body = body_of(otlp.spans_request(*[otlp.span_message(name="x")] * 2), as_json=as_json)
    for size in range(len(body)):
        with contextlib.suppress(InvalidInput):
            found = spans_of(body[:size], as_json=as_json)
            assert not found.records


# Too much of everything.


class NoRule(ErrorRule):
    """Fails if any record is mapped."""

    def span(self, tags: object) -> bool:
        raise AssertionError(tags)

    def log(self, level: object) -> bool:
        raise AssertionError(level)


def crowded(groups: int, scopes: int, records: int, shared: int = 0) -> tuple[Messages, Messages]:
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


@BOTH
def test_a_request_with_as_much_as_is_taken_is_taken(*, as_json: bool) -> None:
    spans, logs = crowded(10, 1, 1, 100)
    assert len(spans_of(body_of(spans, as_json=as_json), as_json=as_json, most=10).records) == 10
    assert len(logs_of(body_of(logs, as_json=as_json), as_json=as_json, most=10).records) == 10


def test_too_many_spans_in_an_envelope_are_refused_too() -> None:
    group = orjson.loads(otlp.as_json(crowded(1, 1, 11)[0]))["resourceSpans"][0]
    for value in group, {"batches": [group]}, {"trace": {"resourceSpans": [group]}}:
        with pytest.raises(TooManyRecords):
            spans_of(orjson.dumps(value), as_json=True, most=10)


# Invalid UTF-8.


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
    request, _ = crowded(1, 1, 11)
    assert isinstance(request, ExportTraceServiceRequest)
    request.resource_spans[0].schema_url = "PLACE"
    with pytest.raises(TooManyRecords):
        spans_of(broken(request, as_json=False), as_json=False, most=10)


# Deep nesting.


def nested(levels: int) -> AnyValue:
    value = AnyValue(string_value="bottom")
    for _ in range(levels):
        outer = AnyValue()
        outer.array_value.values.add().CopyFrom(value)
        value = outer
    return value


def test_a_value_is_as_deep_in_json_as_the_parser_of_protobuf_takes() -> None:
    deepest = 47
    attribute = {"key": "a", "value": nested(deepest)}
    request = otlp.spans_request(otlp.span_message(attributes=[attribute]))
    expected = "[" * deepest + '"bottom"' + "]" * deepest
    for as_json in False, True:
        (span,) = spans_of(body_of(request, as_json=as_json), as_json=as_json).records
        assert span["tags"] == {"a": expected}
    attribute["value"] = nested(deepest + 1)
    with pytest.raises(InvalidInput):
        spans_of(otlp.spans_request(otlp.span_message(attributes=[attribute])).SerializeToString(), as_json=False)


@pytest.mark.parametrize("levels", [64, 65, 200, 300, 900, 1000])
@pytest.mark.parametrize(("before", "behind"), [('{"arrayValue":{"values":[', "]}}"), ("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize(
    "inner",
    [
        '{"attributes":[{"key":"a","value":%s}]}', '{"name":%s}', '{"kind":%s}', '{"traceId":%s}', '{"spanId":%s}',
        '{"events":[{"name":%s}]}', '{"events":[{"timeUnixNano":%s}]}', '{"startTimeUnixNano":%s}', '{"status":%s}',
        '{"links":[{"traceId":%s}]}', '{"new":%s}', '{"body":%s}', '{"severityNumber":%s}', "%s",
    ],
)  # fmt: skip
def test_deep_values_are_text_or_refused_wherever_they_are(levels: int, before: str, behind: str, inner: str) -> None:
    deep = inner % (before * levels + "1" + behind * levels)
    ids = f'"traceId":"{otlp.TRACE_ID.hex()}","spanId":"{otlp.SPAN_ID.hex()}"'
    record = f"{{{ids},{deep[1:]}" if deep[:2] == '{"' and inner != "%s" else deep
    for decode, names in (spans_of, ("Spans", "spans")), (logs_of, ("Logs", "logRecords")):
        body = f'{{"resource{names[0]}":[{{"scope{names[0]}":[{{"{names[1]}":[{record}]}}]}}]}}'
        with contextlib.suppress(InvalidInput):
            found = decode(body.encode(), as_json=True)
            assert len(found.records) + len(found.invalid) == 1


# Anything at all.

EDITS = st.lists(
    st.tuples(st.integers(0, 2000), st.sampled_from(["set", "cut", "add"]), st.binary(max_size=4)), max_size=4
)
REQUESTS: st.SearchStrategy[Messages] = otlp.spans().map(lambda span: encode_spans([span])) | otlp.log_records().map(
    lambda record: encode_logs([record])
)


def edited(body: bytes, edits: list[tuple[int, str, bytes]]) -> bytes:
    for place, kind, some in edits:
        at = place % (len(body) + 1)
        rest = {"set": body[at + len(some) :], "cut": body[at + 1 :], "add": body[at:]}[kind]
        body = body[:at] + (b"" if kind == "cut" else some) + rest
    return body


@given(body=st.binary(max_size=100) | st.text(max_size=100).map(str.encode), as_json=st.booleans())
def test_any_bytes_are_a_request_or_refused(body: bytes, *, as_json: bool) -> None:
    for decode in DECODERS:
        with contextlib.suppress(InvalidInput):
            decode(body, as_json=as_json)


@given(request=REQUESTS, edits=EDITS, as_json=st.booleans())
def test_a_damaged_request_is_read_or_refused(
    request: Messages, edits: list[tuple[int, str, bytes]], *, as_json: bool
) -> None:
    body = edited(body_of(request, as_json=as_json), edits)
    for decode in DECODERS:
        with contextlib.suppress(InvalidInput, TooManyRecords):
            decode(body, as_json=as_json)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(
        ["9" * 30, "9" * 5000, "0", "1e999", "-1", otlp.TRACE_ID.hex(), "ovtKHRqW0xI=", "SPAN_KIND_SERVER"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["key", "value", "values", "stringValue", "intValue", "name", ""]), inner)
    ),
    max_leaves=5,
)


def nodes(value: object) -> list[tuple[Any, Any]]:
    """Return all places in a JSON value: lists and objects, each with an index or a name in it."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [pair for name, one in inner for pair in ((value, name), *nodes(one))]


@given(REQUESTS, st.lists(st.tuples(st.integers(0, 200), JSON), min_size=1, max_size=3))
def test_a_request_with_odd_values_in_json_is_read_or_refused(request: Messages, odd: list[tuple[int, object]]) -> None:
    value = orjson.loads(otlp.as_json(request))
    for place, one in odd:
        if found := nodes(value):
            owner, name = found[place % len(found)]
            owner[name] = one
    for decode in DECODERS:
        with contextlib.suppress(InvalidInput):
            decode(json.dumps(value).encode(), as_json=True)


@given(st.lists(otlp.spans(), max_size=3), st.integers(0, 3))
def test_each_span_of_a_request_is_taken_or_refused(spans: list[ReadableSpan], broken_ids: int) -> None:
    request = encode_spans(spans)
    messages = [span for group in request.resource_spans for scope in group.scope_spans for span in scope.spans]
    for message in messages[:broken_ids]:
        message.span_id = b"short"
    for as_json in False, True:
        found = spans_of(body_of(request, as_json=as_json), as_json=as_json)
        assert len(found.records) + len(found.invalid) == len(messages)
        if not as_json:
            assert len(found.invalid) == min(broken_ids, len(messages))
