"""Spans of OTLP whose values are odd: the same in protobuf and in JSON, or refused alone."""

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as LogMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from tests.kit.otlp import SPAN_ID, START, TRACE_ID, logs_request, span_message, spans_request
from tests.kit.otlp_decoders import both_logs, both_spans, one_log, one_span
from tracelink.model.codec import SPAN
from tracelink.model.records import Flag

ENDPOINT = dict.fromkeys(("serviceName", "ipv4", "ipv6", "port"))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"trace_id": b""}, "traceId"),
        ({"trace_id": bytes(16)}, "traceId"),
        ({"trace_id": TRACE_ID + b"x"}, "traceId"),
        ({"span_id": b""}, "id"),
        ({"span_id": bytes(8)}, "id"),
        ({"span_id": SPAN_ID + b"x"}, "id"),
        ({"parent_span_id": SPAN_ID + b"x"}, "parentId"),
    ],
)
def test_a_span_with_broken_ids_is_refused_alone(fields: dict[str, bytes], reason: str) -> None:
    for found in both_spans(spans_request(span_message(name="a"), span_message(**fields), span_message(name="b"))):
        assert [record["name"] for record in found.records] == ["a", "b"]
        (error,) = found.invalid
        assert error.reason == reason
        assert error.detail.startswith("resourceSpans[0].scopeSpans[0].spans[1]: ")


@pytest.mark.parametrize(
    "fields", [{"trace_id": TRACE_ID[:15]}, {"span_id": SPAN_ID[:7]}, {"parent_span_id": SPAN_ID[:3]}]
)
def test_an_id_that_is_too_short_is_padded_in_json_alone(fields: dict[str, bytes]) -> None:
    of_protobuf, of_json = both_spans(spans_request(span_message(**fields)))
    assert (len(of_protobuf.records), len(of_protobuf.invalid)) == (0, 1)
    assert (len(of_json.records), len(of_json.invalid)) == (1, 0)


def test_a_trace_id_whose_upper_half_is_zero_came_with_64_bits() -> None:
    found = one_span(trace_id=bytes(8) + SPAN_ID, parent_span_id=b"parentid")
    assert (found["traceId"], found["flags"]) == (bytes(8) + SPAN_ID, Flag.SHORT_ID)
    assert one_log(trace_id=bytes(8) + SPAN_ID)["flags"] == Flag.SHORT_ID


@pytest.mark.parametrize("parent", [b"", bytes(8), SPAN_ID])
def test_a_span_whose_parent_is_none_zero_or_itself_is_a_root(parent: bytes) -> None:
    found = one_span(parent_span_id=parent)
    assert (found["parentId"], found["flags"]) == (None, Flag.ROOT)


@pytest.mark.parametrize(
    ("start", "end", "timestamp", "duration", "tags"),
    [
        (START, START, START // 1000, 1, {}),
        (START, START + 1999, START // 1000, 1, {}),
        (START, START + 2000, START // 1000, 2, {}),
        (START, 0, START // 1000, None, {}),
        (START, START - 5000, START // 1000, None, {"field.endTimeUnixNano": str(START - 5000)}),
        (0, 0, None, None, {}),
        (0, START, None, None, {"field.endTimeUnixNano": str(START)}),
        (2**64 - 2001, 2**64 - 1, (2**64 - 2001) // 1000, 2, {}),
        (START, 2**64 - 1, START // 1000, (2**64 - 1 - START) // 1000, {}),
        # Milliseconds and microseconds.
        (START // 10**6, START // 10**6 + 5, START // 10**6 * 1000, 5000, {}),
        (START // 1000, START // 1000 + 5, START // 1000, 5, {}),
        # Ticks of .NET are no time.
        (5 * 10**17, START, None, None, {"field.timestamp": str(5 * 10**17), "field.endTimeUnixNano": str(START)}),
    ],
)  # fmt: skip
def test_times_are_in_microseconds_and_one_that_is_none_is_kept(
    start: int, end: int, timestamp: int | None, duration: int | None, tags: dict[str, str]
) -> None:
    found = one_span(start_time_unix_nano=start, end_time_unix_nano=end)
    assert (found["timestamp"], found["duration"], found["tags"]) == (timestamp, duration, tags)


@pytest.mark.parametrize(
    ("kind", "expected"), [(0, None), (1, None), (2, "SERVER"), (3, "CLIENT"), (4, "PRODUCER"), (5, "CONSUMER")]
)
def test_a_kind_is_zipkins_or_none(kind: int, expected: str | None) -> None:
    found = one_span(kind=kind)
    assert (found["kind"], found["tags"]) == (expected, {})


@pytest.mark.parametrize("kind", [6, -1])
def test_an_unknown_kind_is_kept_as_a_tag(kind: int) -> None:
    found = one_span(kind=kind)
    assert (found["kind"], found["tags"]) == (None, {"field.kind": str(kind)})


def test_an_event_without_a_usable_time_is_kept_as_a_tag() -> None:
    event = SpanMessage.Event
    found = one_span(
        events=[event(name="a", time_unix_nano=START), event(name="b"), event(name="c", time_unix_nano=5 * 10**17)]
    )
    assert found["annotations"] == [{"timestamp": START // 1000, "value": "a"}]
    assert found["tags"] == {
        "field.annotations": '[{"timestamp":null,"value":"b"},{"timestamp":500000000000000000,"value":"c"}]'
    }


def test_what_the_sdk_does_not_send_is_kept_too() -> None:
    link = SpanMessage.Link(trace_id=TRACE_ID, span_id=SPAN_ID, trace_state="a=b")
    found = one_span(links=[link], status={"message": "fine"}, dropped_links_count=7)
    assert found["tags"] == {
        "otel.links": f'[{{"traceId":"{TRACE_ID.hex()}","spanId":"{SPAN_ID.hex()}","traceState":"a=b"}}]',
        "otel.status_description": "fine",
        "otel.dropped_links_count": "7",
    }


def test_an_address_is_spelled_as_its_sender_does() -> None:
    address = {"key": "server.address", "value": {"string_value": "2001:DB8::1"}}
    assert one_span(kind=3, attributes=[address])["remoteEndpoint"] == ENDPOINT | {"ipv6": "2001:DB8::1"}


def test_an_index_into_a_table_of_profiles_is_no_value() -> None:
    assert one_span(attributes=[{"key": "a", "value": {"string_value_strindex": 3}}])["tags"] == {"a": "null"}


def test_equal_keys_of_attributes_keep_all_their_values() -> None:
    pairs = [{"key": "a", "value": {"int_value": number}} for number in range(500)]
    found = one_span(attributes=[*pairs, {"key": "b", "value": {"kvlist_value": {"values": pairs[:2]}}}])
    assert sorted(map(int, [found["tags"].pop(name) for name in list(found["tags"]) if name != "b"])) == list(
        range(500)
    )
    assert found["tags"] == {"b": '{"a":0,"a\'":1}'}


@pytest.mark.parametrize("name", [None, ""])
def test_a_resource_that_names_no_service_is_the_unknown_one(name: str | None) -> None:
    request, logs = spans_request(span_message()), logs_request(LogMessage())
    if name is not None:
        for resource in request.resource_spans[0].resource, logs.resource_logs[0].resource:
            resource.attributes.add(key="service.name").value.string_value = name
    for found in both_spans(request):
        assert SPAN.decode(SPAN.encode(found.records[0]))["localEndpoint"] == ENDPOINT | {
            "serviceName": "unknown_service"
        }
    for lines in both_logs(logs):
        assert lines.records[0]["service"] == "unknown_service"
