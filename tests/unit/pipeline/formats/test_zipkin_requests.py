"""Requests to Zipkin's addresses: which spans they have, and which words refuse the others."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats.decoded import Decoded, TooManyRecords
from pipeline.formats.invalid_input import InvalidInput
from pipeline.formats.zipkin_requests import spans_of_json, spans_of_protobuf
from tests.kit.zipkin_spans import SPANS, list_of, message
from tracelink.model.codec import SPAN
from tracelink.model.records import ErrorRule, Span

IDS = {"traceId": "463ac35c9f6413ad48485a3953bb6124", "id": "a2fb4a1d1a96d312"}
START = 1_795_162_530_123_456
V1 = {
    **IDS,
    "name": "pay",
    "annotations": [
        {"timestamp": START, "value": "cs", "endpoint": {"serviceName": "web"}},
        {"timestamp": START + 9, "value": "sr", "endpoint": {"serviceName": "pay"}},
    ],
}
MOST = 100
Decoder = Callable[[bytes, ErrorRule, int], Decoded[Span]]
BOTH = pytest.mark.parametrize("decoder", [spans_of_json, spans_of_protobuf], ids=["JSON", "protobuf"])


def of_json(body: bytes | list[Any], most: int = MOST) -> Decoded[Span]:
    return spans_of_json(body if isinstance(body, bytes) else orjson.dumps(body), ErrorRule(), most)


def of_protobuf(body: bytes, most: int = MOST) -> Decoded[Span]:
    return spans_of_protobuf(body, ErrorRule(), most)


def written(decoder: Decoder, spans: list[dict[str, Any]]) -> bytes:
    return orjson.dumps(spans) if decoder is spans_of_json else list_of(*map(message, spans))


def refusal(decoder: Decoder, body: bytes) -> InvalidInput:
    with pytest.raises(InvalidInput) as refused:
        decoder(body, ErrorRule(), MOST)
    return refused.value


@pytest.mark.parametrize("body", [b"", b"[]", b" [ ]\n", b"\r\n "])
def test_nothing_and_an_empty_array_are_empty_requests(body: bytes) -> None:
    assert of_json(body) == ([], [], {})


def test_no_bytes_are_an_empty_list() -> None:
    assert of_protobuf(b"") == ([], [], {})


@BOTH
def test_an_invalid_span_is_refused_by_its_place_and_the_others_are_taken(decoder: Decoder) -> None:
    spans = [{**IDS, "name": "a"}, {**IDS, "id": "00" * 8}, {**IDS, "traceId": ""}, {**IDS, "name": "b"}]
    found = decoder(written(decoder, spans), ErrorRule(), MOST)
    assert [span["name"] for span in found.records] == ["a", "b"]
    assert [(one.reason, one.detail[:4]) for one in found.invalid] == [("id", "[1]:"), ("traceId", "[2]:")]
    assert found.notes == {}


@BOTH
def test_as_many_spans_as_allowed_are_taken_and_one_more_is_too_many_even_if_invalid(decoder: Decoder) -> None:
    spans = [{**IDS, "id": "00" * 8}] * 5
    assert len(decoder(written(decoder, spans), ErrorRule(), 5).invalid) == 5
    with pytest.raises(TooManyRecords, match="at most 4 spans, not 5"):
        decoder(written(decoder, spans), ErrorRule(), 4)


@BOTH
def test_the_error_rule_of_the_caller_decides(decoder: Decoder) -> None:
    body = written(decoder, [{**IDS, "tags": {"http.status_code": "404"}}])
    flags = [decoder(body, ErrorRule(http_status=status), MOST).records[0]["flags"] & 1 for status in (404, 405)]
    assert flags == [1, 0]


def test_spans_of_v1_and_v2_may_be_in_one_array() -> None:
    found = of_json([{**IDS, "kind": "SERVER"}, V1, {**IDS, "binaryAnnotations": []}, {**V1, "id": "x"}])
    assert [span["kind"] for span in found.records] == ["SERVER", "CLIENT", "SERVER"]
    assert [one.detail[:4] for one in found.invalid] == ["[2]:", "[3]:", "[3]:"]


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        (7, "no object"),
        (None, "no object"),
        ([IDS], "no object"),
        ({}, "traceId"),
        ({"resourceSpans": [{"scopeSpans": [{"spans": [{**IDS, "spanId": "a"}]}]}]}, "traceId"),
        ({"data": [{"spans": []}]}, "traceId"),
        ({**IDS, "annotations": "retry"}, "annotations"),
    ],
)
def test_an_element_that_is_no_span_of_zipkin_is_refused(element: object, reason: str) -> None:
    found = of_json([element, IDS])
    assert [one.reason for one in found.invalid] == [reason]
    assert len(found.records) == 1


def test_an_unnamed_span_with_a_field_of_log_lines_is_a_span_at_this_address() -> None:
    (span,) = of_json([{**IDS, "message": "charged"}]).records
    assert span["tags"] == {"field.message": "charged"}


@pytest.mark.parametrize(
    ("body", "reason", "words"),
    [
        (orjson.dumps(IDS), "no array", "an array of spans, not an object"),
        (b'"text"', "no array", "an array of spans, not 'text'"),
        (b"null", "no array", "an array of spans, not None"),
        (b"[" + orjson.dumps(IDS), "no JSON", ""),
        (orjson.dumps(IDS) + b"\n" + orjson.dumps(IDS), "no JSON", ""),
        (b"\x0a\x02\x0a\x00", "no JSON", ""),
        (b"\x1f\x8b\x08\x00", "no JSON", ""),
        (b"[" * 3000 + b"]" * 3000, "no JSON", "nested too deeply"),
    ],
)
def test_a_body_that_is_no_array_is_refused_as_a_whole(body: bytes, reason: str, words: str) -> None:
    refused = refusal(spans_of_json, body)
    assert refused.reason == reason
    assert words in refused.detail


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"[]", "begins as JSON does"),
        (b' {"traceId":', "begins as JSON does"),
        (b"\x0a\x05\x0a", "no ListOfSpans"),
        (b"\x1f\x8b\x08\x00", "no ListOfSpans"),
    ],
)
def test_a_body_that_is_no_list_of_spans_is_refused_as_a_whole(body: bytes, words: str) -> None:
    refused = refusal(spans_of_protobuf, body)
    assert refused.reason == "no protobuf"
    assert words in refused.detail


def test_a_span_that_is_no_message_is_refused_without_the_others() -> None:
    found = of_protobuf(list_of(message(IDS)) + b"\x0a\x02\x0a\x7f" + list_of(message(IDS)))
    assert len(found.records) == 2
    assert [(one.reason, one.detail[:4]) for one in found.invalid] == [("no protobuf", "[1]:")]


@pytest.mark.parametrize(("annotations", "taken"), [(60, True), (61, False)])
def test_annotations_are_limited_by_the_number_of_spans(annotations: int, *, taken: bool) -> None:
    body = list_of(*[message({**IDS, "annotations": [{"timestamp": 1, "value": ""}] * 20})] * 2)
    body += list_of(message({**IDS, "annotations": [{"timestamp": 1, "value": ""}] * (annotations - 40)}))
    if taken:
        assert len(of_protobuf(body, 3).records) == 3
        return
    with pytest.raises(TooManyRecords, match="at most 60 annotations"):
        of_protobuf(body, 3)


@pytest.mark.parametrize(
    ("written", "name", "notes"),
    [
        (b'"caf\xe9"', "caf\ufffd", {"invalid UTF-8": 1}),
        (b'"\xff\\"\xff \\\\"', '\ufffd"\ufffd \\', {"invalid UTF-8": 1}),
        (b'"a\xff","tags":{"b\xff":"c\xff","d":"e"}', "a\ufffd", {"invalid UTF-8": 3}),
        (b'"a\\ud800"', "a\ufffd", {"lenient JSON": 1}),
        (b'"a\tb"', "a\tb", {"lenient JSON": 1}),
        ('"caf\u00e9\ufffd"'.encode(), "caf\u00e9\ufffd", {}),
    ],
)
def test_what_is_nearly_json_is_repaired_and_noted(written: bytes, name: str, notes: dict[str, int]) -> None:
    found = of_json(b'[{"traceId":"a","id":"b","name":%s}]' % written)
    assert [span["name"] for span in found.records] == [name]
    assert found.notes == notes


def test_a_byte_order_mark_is_no_error() -> None:
    found = of_json(b"\xef\xbb\xbf" + orjson.dumps([IDS]))
    assert len(found.records) == 1
    assert found.notes == {"lenient JSON": 1}


@pytest.mark.parametrize("field", ["tags", "kind", "name", "unknown", "timestamp", "localEndpoint", "id"])
def test_a_deeply_nested_value_is_refused_or_kept(field: str) -> None:
    deep = b'[{"traceId":"a","id":"b","%s":%s}]' % (field.encode(), b"[" * 1000 + b"]" * 1000)
    found = of_json(deep)
    assert len(found.records) + len(found.invalid) == 1


def test_hosts_that_are_nested_deeply_are_refused() -> None:
    host = b'{"value":"cs","timestamp":1,"endpoint":%s}' % (b"[" * 990 + b"1" + b"]" * 990)
    found = of_json(b'[{"traceId":"a","id":"b","annotations":[%s,%s]}]' % (host, host))
    assert [one.detail for one in found.invalid] == ["[0]: a host of the span is nested too deeply"]


def check(decoder: Decoder, body: bytes) -> None:
    """Decode any bytes; each span that is returned can be sent."""
    try:
        found = decoder(body, ErrorRule(), 5)
    except (InvalidInput, TooManyRecords):
        return
    for span in found.records:
        assert SPAN.decode(SPAN.encode(span))["tags"] == span["tags"]
    assert all(one.detail.startswith("[") for one in found.invalid)


EDITS = st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=3), st.integers(0, 3)), min_size=1, max_size=4)


@BOTH
@given(body=st.binary(max_size=60))
def test_any_bytes_are_refused_or_spans_that_can_be_sent(decoder: Decoder, body: bytes) -> None:
    check(decoder, body)
    check(decoder, b"[" + body + b"]")
    check(decoder, b"\x0a" + bytes([len(body)]) + body)


@BOTH
@given(spans=st.lists(SPANS, min_size=1, max_size=3), edits=EDITS)
def test_a_damaged_request_is_refused_or_spans_that_can_be_sent(
    decoder: Decoder, spans: list[dict[str, Any]], edits: list[tuple[int, bytes, int]]
) -> None:
    body = written(decoder, spans)
    for at, put, removed in edits:
        place = at % len(body) if body else 0
        body = body[:place] + put + body[place + removed :]
    check(decoder, body)
