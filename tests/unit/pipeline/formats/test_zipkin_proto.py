"""Messages of zipkin.proto3 as spans: equal to those of the same spans in JSON."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from py_zipkin.encoding._encoders import get_encoder
from py_zipkin.encoding._helpers import Endpoint, Span
from py_zipkin.encoding._types import Encoding, Kind
from py_zipkin.encoding.protobuf import zipkin_pb2

from pipeline.formats import zipkin_messages
from pipeline.formats.decoded import Decoded
from pipeline.formats.zipkin_requests import spans_of_json, spans_of_protobuf
from tests.kit.zipkin_spans import SPANS, list_of, message
from tracelink.model import records
from tracelink.model.records import ErrorRule, Flag

IDS = {"traceId": "463ac35c9f6413ad48485a3953bb6124", "id": "a2fb4a1d1a96d312"}
START = 1_795_162_530_123_456


def of_json(*spans: dict[str, Any]) -> Decoded[records.Span]:
    return spans_of_json(orjson.dumps(spans), ErrorRule(), 10)


def of_messages(*messages: zipkin_pb2.Span) -> Decoded[records.Span]:
    return spans_of_protobuf(list_of(*messages), ErrorRule(), 10)


def span_of(found: zipkin_pb2.Span) -> records.Span:
    (span,) = of_messages(found).records
    return span


def test_the_messages_are_those_of_the_published_format() -> None:
    published = {one.name: one for one in zipkin_pb2.DESCRIPTOR.message_types_by_name.values()}
    for name in "Span", "Annotation", "Endpoint":
        built = zipkin_messages.SpanMessage.DESCRIPTOR.file.message_types_by_name[name]
        assert fields(built) == fields(published[name])
    (kinds,) = zipkin_messages.SpanMessage.DESCRIPTOR.enum_types
    assert kinds.values_by_name.keys() == zipkin_pb2.Span.Kind.keys()
    assert [zipkin_pb2.Span.Kind.Value(one.name) for one in kinds.values] == [one.number for one in kinds.values]


def fields(descriptor: Any) -> dict[str, object]:  # noqa: ANN401 - protobuf has no types
    """Return what is written of a message's fields: number, type, and if they are repeated; by their names."""
    return {
        one.name: (one.number, one.type, one.is_repeated, one.message_type and fields(one.message_type))
        for one in descriptor.fields
    }


@given(st.lists(SPANS, max_size=3))
def test_a_span_is_the_same_in_both_formats(spans: list[dict[str, Any]]) -> None:
    in_json, in_messages = of_json(*spans), of_messages(*map(message, spans))
    assert in_messages.records == in_json.records
    refused = [[(one.reason, one.detail[:3]) for one in found.invalid] for found in (in_json, in_messages)]
    assert refused[0] == refused[1]
    assert in_json.notes == in_messages.notes == {}


def test_what_py_zipkin_sends_in_both_formats_is_the_same() -> None:
    span = Span(
        trace_id="463ac35c9f6413ad",
        name="get /cart",
        parent_id="b2fb4a1d1a96d312",
        span_id="a2fb4a1d1a96d312",
        kind=Kind.CLIENT,
        timestamp=START / 1_000_000,
        duration=0.001431,
        local_endpoint=Endpoint("cart", "10.0.0.7", None, 80),
        remote_endpoint=Endpoint("db", None, "2001:db8::c001", 3306),
        annotations={"retry": (START + 20) / 1_000_000},
        tags={"http.method": "GET"},
    )
    bodies = []
    for encoding in Encoding.V2_JSON, Encoding.V2_PROTO3:
        encoder = get_encoder(encoding)
        body = encoder.encode_queue([encoder.encode_span(span)])
        bodies.append(body.encode() if isinstance(body, str) else body)
    in_json = spans_of_json(bodies[0], ErrorRule(), 10)
    in_messages = spans_of_protobuf(bodies[1], ErrorRule(), 10)
    assert in_messages == in_json
    assert in_messages.records[0]["flags"] == Flag.SHORT_ID


@pytest.mark.parametrize(
    ("fields", "name", "read"),
    [
        ({}, "kind", None),
        ({"kind": 4}, "kind", "CONSUMER"),
        ({}, "name", None),
        ({}, "timestamp", None),
        ({"timestamp": START}, "timestamp", START),
        ({"timestamp": 1_795_162_530_123}, "timestamp", 1_795_162_530_123_000),
        ({"timestamp": START * 1000}, "timestamp", START),
        ({}, "duration", None),
        ({}, "debug", None),
        ({"shared": True}, "shared", True),
        ({"trace_id": bytes(8) + b"\1" * 8}, "flags", Flag.ROOT),
        ({"trace_id": b"\1" * 8}, "flags", Flag.ROOT | Flag.SHORT_ID),
        ({"trace_id": b"\1" * 8}, "traceId", bytes(8) + b"\1" * 8),
        ({"id": b"\7"}, "id", "7".zfill(16)),
        ({"parent_id": bytes(8)}, "parentId", None),
        ({"parent_id": bytes.fromhex(IDS["id"])}, "parentId", None),
        ({"parent_id": b"\7"}, "parentId", "7".zfill(16)),
        ({"tags": {"error": ""}}, "flags", Flag.ROOT | Flag.ERROR),
        ({"local_endpoint": {}}, "localEndpoint", None),
        ({"local_endpoint": {"port": 0, "service_name": "Pay "}}, "localEndpoint", {"serviceName": "Pay "}),
        (
            {"local_endpoint": {"ipv6": bytes(10) + b"\xff\xff\x0a\0\0\7"}},
            "localEndpoint",
            {"serviceName": None, "ipv6": "::ffff:a00:7"},
        ),
        ({"local_endpoint": {"ipv6": b"\x0a\0\0\7"}}, "localEndpoint", {"serviceName": None, "ipv4": "10.0.0.7"}),
        ({"annotations": [{"value": "retry"}]}, "annotations", [{"timestamp": 0, "value": "retry"}]),
    ],
)
def test_a_field_is_read_as_in_json(fields: dict[str, Any], name: str, read: object) -> None:
    ids = {"trace_id": bytes.fromhex(IDS["traceId"]), "id": bytes.fromhex(IDS["id"])}
    span = span_of(zipkin_pb2.Span(**ids | fields))
    assert span[name] == read  # type: ignore[literal-required] # names of the record
    assert span["tags"] == fields.get("tags", {})


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"kind": 9}, {"field.kind": "9"}),
        ({"kind": -1}, {"field.kind": "-1"}),
        ({"timestamp": 5 * 10**17}, {"field.timestamp": "500000000000000000"}),
        ({"duration": 2**63}, {"field.duration": "9223372036854775808"}),
        ({"local_endpoint": {"port": -1}}, {"field.localEndpoint.port": "-1"}),
        ({"remote_endpoint": {"ipv4": b"\1\2\3"}}, {"field.remoteEndpoint.ipv4": "010203"}),
        (
            {"remote_endpoint": {"ipv4": b"\1\2\3\4", "ipv6": b"\1\2\3\5"}},
            {"field.remoteEndpoint.ipv6": "1.2.3.5"},
        ),
        (
            {"annotations": [{"timestamp": 5 * 10**17, "value": "x"}]},
            {"field.annotations": '[{"timestamp":500000000000000000,"value":"x"}]'},
        ),
        ({"kind": 9, "tags": {"field.kind": "mine"}}, {"field.kind": "mine", "field.kind'": "9"}),
    ],
)
def test_a_value_without_a_plain_meaning_is_none_and_kept_as_a_tag(
    fields: dict[str, Any], kept: dict[str, str]
) -> None:
    ids = {"trace_id": bytes.fromhex(IDS["traceId"]), "id": bytes.fromhex(IDS["id"])}
    span = span_of(zipkin_pb2.Span(**ids | fields))
    assert span["tags"] == kept
    assert not any((span["kind"], span["timestamp"], span["duration"], span["annotations"], span["localEndpoint"]))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"trace_id": b""}, "traceId"),
        ({"trace_id": bytes(16)}, "traceId"),
        ({"trace_id": b"\1" * 17}, "traceId"),
        ({"id": b""}, "id"),
        ({"id": bytes(8)}, "id"),
        ({"id": b"\1" * 9}, "id"),
        ({"parent_id": b"\1" * 9}, "parentId"),
    ],
)
def test_a_span_without_valid_ids_is_refused_by_the_field(fields: dict[str, Any], reason: str) -> None:
    ids = {"trace_id": bytes.fromhex(IDS["traceId"]), "id": bytes.fromhex(IDS["id"])}
    (refused,) = of_messages(zipkin_pb2.Span(**ids | fields)).invalid
    assert refused.reason == reason


TEXTS = {
    **IDS,
    "name": "caf?",
    "localEndpoint": {"serviceName": "web?", "port": 80},
    "remoteEndpoint": {"serviceName": "?pay"},
    "annotations": [{"timestamp": START, "value": "retry ?"}, {"timestamp": START, "value": "plain"}],
    "tags": {"?": "value?", "plain": "text"},
}


def test_strings_that_are_not_utf8_are_repaired_as_in_json_and_noted() -> None:
    in_messages = spans_of_protobuf(list_of(message(TEXTS), message(IDS)).replace(b"?", b"\xe9"), ErrorRule(), 10)
    in_json = spans_of_json(orjson.dumps([TEXTS, IDS]).replace(b"?", b"\xe9"), ErrorRule(), 10)
    assert in_messages == in_json
    assert in_messages.notes == {"invalid UTF-8": 6}
    assert in_messages.records[0]["name"] == "caf\ufffd"
    assert len(in_messages.records) == 2


def test_names_of_tags_that_differ_only_in_what_is_not_utf8_are_all_kept() -> None:
    body = list_of(message({**IDS, "tags": {"a!": "1", "a?": "2", "a\ufffd": "3"}}))
    found = spans_of_protobuf(body.replace(b"!", b"\xe8").replace(b"?", b"\xe9"), ErrorRule(), 10)
    tags = found.records[0]["tags"]
    assert tags.keys() == {"a\ufffd", "a\ufffd'", "a\ufffd''"}
    assert set(tags.values()) == {"1", "2", "3"}
    assert found.notes == {"invalid UTF-8": 2}


def test_the_last_of_two_tags_of_one_name_counts_in_both_forms() -> None:
    tags = b"".join(b"\x5a\x06\x0a\x01a\x12\x01" + value for value in (b"1", b"2"))
    raw = message(IDS).SerializeToString() + tags
    for name in b"x", b"\xe9":
        span = raw + b"\x2a\x01" + name
        (found,) = spans_of_protobuf(b"\x0a" + bytes([len(span)]) + span, ErrorRule(), 10).records
        assert found["tags"] == {"a": "2"}


@given(SPANS, st.integers(0, 200))
def test_a_span_with_a_byte_that_is_not_utf8_is_not_lost(span: dict[str, Any], at: int) -> None:
    name = ("n" * (at % 7)).encode() + b"\xff"
    raw = message(span).SerializeToString() + b"\x2a" + bytes([len(name)]) + name
    found = spans_of_protobuf(b"\x0a" + varint(len(raw)) + raw, ErrorRule(), 10)
    expected = of_json({**span, "name": name.decode(errors="replace")})
    assert found.records == expected.records
    assert found.notes == {"invalid UTF-8": 1}


def varint(number: int) -> bytes:
    """Return a number below 2^14 as protobuf writes it."""
    return bytes([number]) if number < 128 else bytes([number & 127 | 128, number >> 7])
