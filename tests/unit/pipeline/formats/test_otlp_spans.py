"""OTLP JSON as spans, in every spelling of ids, numbers and names; `test_otlp_mapping` compares it with the SDK's."""

import json
import math
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1 import trace_pb2

from pipeline.formats.invalid_input import InvalidInput
from pipeline.formats.otlp_common import Limit
from pipeline.formats.otlp_values import Values
from pipeline.formats.spans import SpanReader
from tracelink.model.records import ErrorRule, Flag, Span

TRACE_ID, SPAN_ID, PARENT_ID = "463ac35c9f6413ad48485a3953bb6124", "a2fb4a1d1a96d312", "00000000000000ab"
START = 1_795_162_530_123_456_789
SPAN: dict[str, Any] = {
    "traceId": TRACE_ID,
    "spanId": SPAN_ID,
    "parentSpanId": PARENT_ID,
    "name": "POST /pay",
    "kind": 2,
    "startTimeUnixNano": str(START),
    "endTimeUnixNano": str(START + 1_431_999),
}


def exported(*spans: object, **resource: object) -> dict[str, Any]:
    attributes = [{"key": "service.name", "value": {"stringValue": "pay"}}]
    scope = {"scope": {"name": "flask", "version": "3.1"}, "spans": list(spans)}
    return {"resourceSpans": [{"resource": {"attributes": attributes} | resource, "scopeSpans": [scope]}]}


def read(value: object) -> list[Span | InvalidInput]:
    return SpanReader(ErrorRule()).read(value)


def one(**more: object) -> Span:
    (span,) = read(exported({**SPAN, **more}))
    assert not isinstance(span, InvalidInput), span
    return span


def attribute(key: str, **value: object) -> dict[str, object]:
    return {"key": key, "value": value}


def test_a_span_has_its_ids_times_kind_service_and_scope() -> None:
    assert one() == {
        "flags": 0,
        "traceId": bytes.fromhex(TRACE_ID),
        "id": SPAN_ID,
        "parentId": PARENT_ID,
        "kind": "SERVER",
        "name": "POST /pay",
        "timestamp": START // 1000,
        "duration": 1431,
        "localEndpoint": {"serviceName": "pay"},
        "remoteEndpoint": None,
        "annotations": [],
        "tags": {"otel.scope.name": "flask", "otel.scope.version": "3.1"},
        "debug": None,
        "shared": None,
    }


@pytest.mark.parametrize(
    ("trace_id", "span_id"),
    [
        (TRACE_ID.upper(), SPAN_ID.upper()),
        ("RjrDXJ9kE61ISFo5U7thJA==", "ovtKHRqW0xI="),
        ("RjrDXJ9kE61ISFo5U7thJA", "ovtKHRqW0xI"),
    ],
)
def test_ids_are_hex_or_base64(trace_id: str, span_id: str) -> None:
    span = one(traceId=trace_id, spanId=span_id, parentSpanId="")
    assert (span["traceId"].hex(), span["id"], span["parentId"]) == (TRACE_ID, SPAN_ID, None)
    assert span["flags"] & Flag.ROOT


@given(st.binary(min_size=16, max_size=16).filter(any), st.binary(min_size=8, max_size=8).filter(any))
def test_any_id_is_read_back_from_the_json_of_protobuf(trace_id: bytes, span_id: bytes) -> None:
    data = trace_pb2.TracesData()
    data.resource_spans.add().scope_spans.add().spans.add(trace_id=trace_id, span_id=span_id, start_time_unix_nano=1)
    (span,) = read(MessageToDict(data))
    assert not isinstance(span, InvalidInput)
    assert (span["traceId"], span["id"]) == (trace_id, span_id.hex())


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (0, None), (1, None), (2, "SERVER"), (3, "CLIENT"), (4, "PRODUCER"), (5, "CONSUMER"), ("3", "CLIENT"),
        ("SPAN_KIND_SERVER", "SERVER"), ("SPAN_KIND_INTERNAL", None), ("SPAN_KIND_UNSPECIFIED", None), (None, None),
    ],
)  # fmt: skip
def test_a_kind_is_a_number_or_a_name(kind: object, expected: str | None) -> None:
    span = one(kind=kind)
    assert span["kind"] == expected
    assert "field.kind" not in span["tags"]


@pytest.mark.parametrize("kind", [9, "9" * 5000], ids=["one digit", "5000 digits"])
def test_an_unknown_kind_is_kept(kind: object) -> None:
    assert one(kind=kind)["tags"]["field.kind"] == str(kind)


def test_numbers_of_thousands_of_digits_are_no_time_and_no_status() -> None:
    many = "9" * 5000
    found = one(startTimeUnixNano=many, status={"code": many}, events=[{"timeUnixNano": many}])
    assert (found["timestamp"], found["annotations"], found["tags"]["field.timestamp"]) == (None, [], many)


def test_the_ids_of_a_link_are_in_lower_case() -> None:
    link = {"traceId": TRACE_ID.upper(), "spanId": SPAN_ID.upper()}
    assert json.loads(one(links=[link])["tags"]["otel.links"]) == [{"traceId": TRACE_ID, "spanId": SPAN_ID}]


@pytest.mark.parametrize(
    ("status", "attributes", "errored"),
    [
        ({"code": 2, "message": "no such card"}, [], True),
        ({"code": "STATUS_CODE_ERROR"}, [], True),
        ({"code": "2"}, [], True),
        ({"code": "Error"}, [], True),
        ({"code": 1}, [attribute("http.status_code", intValue="500")], False),
        ({}, [attribute("http.status_code", intValue=500)], True),
        ({"code": 0}, [attribute("error", boolValue=False)], False),
        (None, [], False),
    ],
)
def test_the_status_decides_before_the_attributes(
    status: object, attributes: list[object], errored: bool  # noqa: FBT001 - a table's column
) -> None:  # fmt: skip
    span = one(status=status, attributes=attributes)
    assert bool(span["flags"] & Flag.ERROR) is errored


def test_the_message_of_an_error_is_its_tag() -> None:
    tags = one(status={"code": 2, "message": "no such card"}, attributes=[attribute("error", stringValue="x")])["tags"]
    assert (tags["error"], tags["attribute.error"], tags["otel.status_code"]) == ("no such card", "x", "ERROR")
    assert one(status={"message": "odd"})["tags"]["otel.status_description"] == "odd"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ({"stringValue": "x"}, "x"),
        ({"intValue": "9007199254740993"}, 9007199254740993),
        ({"intValue": 7}, 7),
        ({"int_value": "7"}, 7),
        ({"intValue": "seven"}, "seven"),
        ({"doubleValue": 1}, 1.0),
        ({"doubleValue": "-Infinity"}, -math.inf),
        ({"doubleValue": "1.5"}, 1.5),
        ({"doubleValue": 10**400}, 10**400),
        ({"boolValue": False}, False),
        ({"bytesValue": "AAH/"}, b"\x00\x01\xff"),
        ({"bytesValue": "no base64!"}, "no base64!"),
        ({"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "a"}]}}, [1, "a"]),
        ({"arrayValue": {}}, []),
        ({"kvlistValue": {"values": [attribute("k", intValue="1")]}}, {"k": 1}),
        ({"arrayValue": {"values": [{"kvlistValue": {"values": [attribute("k", boolValue=True)]}}]}}, [{"k": True}]),
        ({}, None),
        ({"stringValueStrindex": 3}, None),
        ({"unknownValue": 1}, {"unknownValue": 1}),
        ("untyped", "untyped"),
    ],
)  # fmt: skip
def test_a_typed_value_is_read_as_it_is(value: object, plain: object) -> None:
    found = Values(Limit()).value(value)
    assert found == plain
    assert type(found) is type(plain)


def test_events_are_annotations_in_the_form_that_opentelemetry_publishes() -> None:
    attributes = [attribute("exception.type", stringValue="Declined"), attribute("tries", intValue="2")]
    span = one(events=[{"timeUnixNano": str(START), "name": "exception", "attributes": attributes}, {"name": "late"}])
    assert span["annotations"] == [
        {"timestamp": START // 1000, "value": '"exception": {"exception.type":"Declined","tries":2}'}
    ]
    assert span["tags"]["field.annotations"] == '[{"timestamp":null,"value":"late"}]'


@pytest.mark.parametrize(
    ("start", "end", "duration"),
    [
        (START, START, 1),
        (START, START + 999, 1),
        (START, START + 2000, 2),
        (float(START), float(START + 10**9), 10**6),
        # An exporter that took milliseconds for nanoseconds.
        (START // 10**6, START // 10**6 + 5, 5000),
        (START, "0", None),
        (START, None, None),
    ],
)
def test_a_duration_goes_from_start_to_end(start: object, end: object, duration: int | None) -> None:
    span = one(startTimeUnixNano=start, endTimeUnixNano=end)
    assert span["duration"] == duration
    assert not [name for name in span["tags"] if name.startswith("field.")]


def test_an_end_before_the_start_is_no_duration_and_kept() -> None:
    span = one(endTimeUnixNano=str(START - 5000))
    assert span["duration"] is None
    assert span["tags"]["field.endTimeUnixNano"] == str(START - 5000)


def test_nothing_of_a_span_is_dropped() -> None:
    ids = {"traceId": TRACE_ID, "spanId": SPAN_ID}
    span = one(
        droppedAttributesCount=1,
        droppedEventsCount=2,
        droppedLinksCount=3,
        traceState="a=b",
        newField={"x": 1},
        links=[{**ids, "traceState": "c=d", "attributes": [attribute("n", intValue=1)]}],
        attributes=[attribute("a", stringValue="x"), attribute("a", stringValue="y"), {"key": "none"}],
    )
    assert span["tags"] == {
        "otel.scope.name": "flask",
        "otel.scope.version": "3.1",
        "otel.dropped_attributes_count": "1",
        "otel.dropped_events_count": "2",
        "otel.dropped_links_count": "3",
        "w3c.tracestate": "a=b",
        "field.newField": '{"x":1}',
        "otel.links": json.dumps([{**ids, "traceState": "c=d", "attributes": {"n": "1"}}], separators=(",", ":")),
        "a": "x",
        "a'": "y",
        "none": "null",
    }


SNAKE = {
    "trace_id": TRACE_ID, "span_id": SPAN_ID, "parent_span_id": PARENT_ID, "name": "POST /pay", "kind": 2,
    "start_time_unix_nano": START, "end_time_unix_nano": START + 1_431_999,
}  # fmt: skip
GROUP = exported(SPAN)["resourceSpans"][0]


@pytest.mark.parametrize(
    "value",
    [
        exported(SPAN),
        exported(SNAKE),
        {"resource_spans": [{"resource": GROUP["resource"], "scope_spans": GROUP["scopeSpans"]}]},
        {"batches": [GROUP]},
        {"trace": {"resourceSpans": [GROUP]}},
        {"result": {"resourceSpans": [GROUP]}},
        GROUP,
        {
            "resourceSpans": [
                {
                    "resource": GROUP["resource"],
                    "instrumentationLibrarySpans": [
                        {"instrumentationLibrary": {"name": "flask", "version": "3.1"}, "spans": [SPAN]}
                    ],
                }
            ]
        },
    ],
)
def test_every_envelope_and_spelling_gives_the_same_span(value: object) -> None:
    assert read(value) == [one()]


def test_a_single_span_without_its_resource_is_taken() -> None:
    (span,) = read(SPAN)
    assert not isinstance(span, InvalidInput)
    assert (span["id"], span["localEndpoint"]) == (SPAN_ID, None)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (exported({**SPAN, "spanId": "xyz"}), "resourceSpans[0].scopeSpans[0].spans[0]: id"),
        (exported({**SPAN, "traceId": ""}), "resourceSpans[0].scopeSpans[0].spans[0]: a trace id"),
        (exported("span"), "resourceSpans[0].scopeSpans[0].spans[0]: a span is a JSON object"),
        (exported({**SPAN, "attributes": {"a": 1}}), "spans[0]: attributes must be a list"),
        (exported({**SPAN, "events": ["retry"]}), "spans[0]: events must be a list of objects"),
        (exported({**SPAN, "status": "Error"}), "spans[0]: status must be an object"),
        (exported(SPAN, attributes=["a"]), "resourceSpans[0]: an attribute is an object with a key"),
        ({"resourceSpans": [7]}, "OTLP resourceSpans[0]: not an object"),
        (
            {"resourceSpans": [{"scopeSpans": [{"scope": 7, "spans": [SPAN]}]}]},
            "resourceSpans[0].scopeSpans[0]: scope must be an object",
        ),
        ({"resourceSpans": {"a": 1}}, "resourceSpans: resourceSpans must be a list"),
        ({"resourceSpans": [{"scopeSpans": [{"spans": 7}]}]}, "scopeSpans[0].spans: spans must be a list"),
    ],
)
def test_an_invalid_span_is_refused_with_its_place(value: object, place: str) -> None:
    (error,) = read(value)
    assert isinstance(error, InvalidInput)
    assert place in error.detail


def test_each_span_of_a_broken_resource_or_scope_is_refused() -> None:
    groups = exported(SPAN, SPAN)["resourceSpans"]
    broken = {"resource": {"attributes": 7}, "scopeSpans": [{"spans": [SPAN, SPAN]}, {"spans": [SPAN]}]}
    scope = {"scopeSpans": [{"scope": {"attributes": 7}, "spans": [SPAN, SPAN]}, {"scope": 7, "spans": []}]}
    found = read({"resourceSpans": [*groups, broken, scope]})
    assert [isinstance(each, InvalidInput) for each in found] == [False] * 2 + [True] * 5


def test_the_valid_spans_beside_an_invalid_one_are_taken() -> None:
    reader = SpanReader(ErrorRule())
    found = reader.read(exported(SPAN, {}, SPAN))
    assert [isinstance(each, InvalidInput) for each in found] == [False, True, False]
    assert reader.formats == {"OTLP": 2}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from([*SPAN, "attributes", "events", "links", "status", "traceState", "x"])


@given(st.dictionaries(NAMES, JSON | st.lists(st.dictionaries(st.sampled_from(["key", "value", "name"]), JSON))), JSON)
def test_no_input_raises(more: dict[str, object], other: object) -> None:
    assert len(read(exported({**SPAN, **more}))) == 1
    for name in "resourceSpans", "scopeSpans", "batches", "trace", "startTimeUnixNano":
        assert isinstance(read({name: other, "spanId": "a"}), list)
