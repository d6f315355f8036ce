"""Requests of OTLP: any body is a request, or refused by one of the two errors that say so."""

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
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as LogMessage
from opentelemetry.sdk.trace import ReadableSpan

from pipeline.formats.decoded import Decoded, TooManyRecords
from pipeline.formats.invalid_input import InvalidInput
from tests.kit import otlp
from tests.kit.otlp import SPAN_ID, TRACE_ID
from tests.kit.otlp_decoders import BOTH, DECODERS, Messages, body_of, both_spans, logs_of, spans_of
from tracelink.model.codec import SPAN


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


@pytest.mark.parametrize("decode", DECODERS, ids=["spans", "logs"])
def test_an_object_that_has_nothing_of_a_request_is_refused_and_an_empty_one_is_an_empty_request(
    decode: Callable[..., Decoded[Any]],
) -> None:
    with pytest.raises(InvalidInput, match="it may be one for another path"):
        decode(b'{"level":"error","message":"declined"}', as_json=True)
    assert decode(b"{}", as_json=True).records == []


@BOTH
def test_a_body_that_is_cut_off_has_no_records(*, as_json: bool) -> None:
    body = body_of(otlp.spans_request(*[otlp.span_message(name="x")] * 2), as_json=as_json)
    for size in range(len(body)):
        with contextlib.suppress(InvalidInput):
            found = spans_of(body[:size], as_json=as_json)
            assert not found.records


def test_ids_in_base64_are_taken_and_counted() -> None:
    ids = {"traceId": "RjrDXJ9kE61ISFo5U7thJA==", "spanId": "ovtKHRqW0xI="}
    spans = {"resourceSpans": [{"scopeSpans": [{"spans": [{**ids, "parentSpanId": "AAAAAAAAAKs=", "links": [ids]}]}]}]}
    found = spans_of(orjson.dumps(spans), as_json=True)
    (taken,) = found.records
    assert (taken["traceId"], taken["id"], taken["parentId"]) == (TRACE_ID, SPAN_ID.hex(), "00000000000000ab")
    assert taken["tags"]["otel.links"] == f'[{{"traceId":"{TRACE_ID.hex()}","spanId":"{SPAN_ID.hex()}"}}]'
    assert found.notes == {"base64 id": 5}
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [ids, ids]}]}]}
    lines = logs_of(orjson.dumps(logs), as_json=True)
    assert {(line["traceId"], line["spanId"]) for line in lines.records} == {(TRACE_ID, SPAN_ID.hex())}
    assert lines.notes == {"base64 id": 4}


def test_unknown_fields_are_ignored() -> None:
    request = otlp.spans_request(otlp.span_message())
    plain = [SPAN.encode(found.records[0]) for found in both_spans(request)]
    unknown = b"\xf2\x3f\x03abc"  # field 1022
    more = ExportTraceServiceRequest.FromString(request.SerializeToString() + unknown)
    message = more.resource_spans[0].scope_spans[0].spans[0]
    message.MergeFromString(unknown)
    value = orjson.loads(otlp.as_json(request))
    value["new"] = value["resourceSpans"][0]["new"] = value["resourceSpans"][0]["scopeSpans"][0]["new"] = {"a": 1}
    value["resourceSpans"][0]["scopeSpans"][0]["spans"][0] |= {"new": 1, "shared": True, "debug": "x"}
    assert unknown in more.SerializeToString()
    assert SPAN.encode(spans_of(more.SerializeToString(), as_json=False).records[0]) == plain[0]
    assert SPAN.encode(spans_of(orjson.dumps(value), as_json=True).records[0]) == plain[1]
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{}, {"new": 1}]}]}]}
    plain_line, line = logs_of(orjson.dumps(logs), as_json=True).records
    assert plain_line | {"id": ""} == line | {"id": ""}


@pytest.mark.parametrize("beside", [{"trace": {}}, {"result": {}}, {"scopeSpans": []}, {"spanId": "1"}])
def test_a_request_is_read_whatever_is_beside_its_resources(beside: dict[str, object]) -> None:
    request = orjson.loads(otlp.as_json(otlp.spans_request(otlp.span_message())))
    found = spans_of(orjson.dumps({**beside, "startTimeUnixNano": "1", **request}), as_json=True)
    assert len(found.records) == 1


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
