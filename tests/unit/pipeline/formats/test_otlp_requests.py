"""Requests of OTLP: what is wrong with one record costs that one, what is wrong with a request costs the request."""

from typing import Any

import orjson
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as LogMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from pipeline.formats.decoded import Decoded
from pipeline.formats.otlp_requests import logs_of_json, logs_of_protobuf, spans_of_json, spans_of_protobuf
from tests.kit.otlp import SPAN_ID, START, TRACE_ID, as_json, logs_request, span_message, spans_request
from tracelink.model.codec import LOG_RECORD, SPAN
from tracelink.model.records import NO_TRACE, ErrorRule, Flag, LogRecord, Span

RULE = ErrorRule()
DIGEST = "0123456789abcdef0123456789abcdef"
RECEIVED = 1_795_162_531_000_000
MOST = 100
ENDPOINT = dict.fromkeys(("serviceName", "ipv4", "ipv6", "port"))


def both_spans(request: ExportTraceServiceRequest) -> list[Decoded[Span]]:
    """Decode a request as protobuf and as JSON."""
    return [spans_of_protobuf(request.SerializeToString(), RULE, MOST), spans_of_json(as_json(request), RULE, MOST)]


def both_logs(request: ExportLogsServiceRequest) -> list[Decoded[LogRecord]]:
    return [
        logs_of_protobuf(request.SerializeToString(), RULE, MOST, DIGEST, RECEIVED),
        logs_of_json(as_json(request), RULE, MOST, DIGEST, RECEIVED),
    ]


def one_span(**fields: Any) -> Span:  # noqa: ANN401 - as above
    """Return a span that is the same in protobuf and in JSON."""
    first, second = [
        SPAN.decode(SPAN.encode(found.records[0])) for found in both_spans(spans_request(span_message(**fields)))
    ]
    assert first == second
    return first


def one_log(**fields: Any) -> LogRecord:  # noqa: ANN401 - as above
    first, second = [found.records[0] for found in both_logs(logs_request(LogMessage(**fields)))]
    assert first == second
    return LOG_RECORD.decode(LOG_RECORD.encode(first))


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
        for resource in (request.resource_spans[0].resource, logs.resource_logs[0].resource):
            resource.attributes.add(key="service.name").value.string_value = name
    for found in both_spans(request):
        assert SPAN.decode(SPAN.encode(found.records[0]))["localEndpoint"] == ENDPOINT | {
            "serviceName": "unknown_service"
        }
    for lines in both_logs(logs):
        assert lines.records[0]["service"] == "unknown_service"


def test_a_log_record_has_its_parts() -> None:
    parts: dict[str, Any] = {
        "trace_id": TRACE_ID,
        "span_id": SPAN_ID,
        "time_unix_nano": START,
        "observed_time_unix_nano": START + 10**9,
        "severity_text": "warn",
        "severity_number": 13,
        "body": {"string_value": "low stock"},
        "attributes": [{"key": "n", "value": {"int_value": 3}}],
        "event_name": "stock.low",
    }
    request = logs_request(LogMessage(**parts))
    group = request.resource_logs[0]
    group.resource.attributes.add(key="service.name").value.string_value = "cart"
    group.resource.attributes.add(key="host.name").value.string_value = "h1"
    group.scope_logs[0].scope.name = "shop.cart"
    for found in both_logs(request):
        assert found.records == [
            {
                "flags": 0,
                "traceId": TRACE_ID,
                "id": f"{DIGEST}-0",
                "spanId": SPAN_ID.hex(),
                "timestamp": START // 1000,
                "service": "cart",
                "level": "WARN",
                "logger": "shop.cart",
                "message": "low stock",
                "exception": None,
                "fields": {"host.name": "h1", "n": "3", "event.name": "stock.low"},
            }
        ]


def test_a_repeated_request_repeats_the_ids_of_its_log_records() -> None:
    request = logs_request(*[LogMessage(severity_text="same")] * 3)
    request.resource_logs.add().scope_logs.add().log_records.add()
    for found in (*both_logs(request), *both_logs(request)):
        assert [record["id"] for record in found.records] == [f"{DIGEST}-{number}" for number in range(4)]


def test_a_refused_log_record_has_a_number_too() -> None:
    body = as_json(logs_request(*[LogMessage(severity_text="x")] * 3)).replace(
        b'"severityText":"x"', b'"attributes":7', 1
    )
    found = logs_of_json(body, RULE, MOST, DIGEST, RECEIVED)
    assert [record["id"] for record in found.records] == [f"{DIGEST}-1", f"{DIGEST}-2"]
    (error,) = found.invalid
    assert error.detail.startswith("resourceLogs[0].scopeLogs[0].logRecords[0]: attributes must be a list")


@pytest.mark.parametrize(
    ("time", "observed", "timestamp", "fields"),
    [
        (START, START + 5000, START // 1000, {}),
        (0, START, START // 1000, {}),
        (0, 0, RECEIVED, {}),
        (2**64 - 1, 0, (2**64 - 1) // 1000, {}),
        (START // 10**6, 0, START // 10**6 * 1000, {}),
        (5 * 10**17, START, START // 1000, {"field.timeUnixNano": str(5 * 10**17)}),
        (0, 5 * 10**17, RECEIVED, {"field.observedTimeUnixNano": str(5 * 10**17)}),
    ],
)
def test_a_log_record_has_its_own_time_or_that_of_its_arrival(
    time: int, observed: int, timestamp: int, fields: dict[str, str]
) -> None:
    found = one_log(time_unix_nano=time, observed_time_unix_nano=observed)
    assert (found["timestamp"], found["fields"]) == (timestamp, fields)


@pytest.mark.parametrize(
    ("trace_id", "span_id", "fields"),
    [
        (b"", b"", {}),
        (bytes(16), bytes(8), {}),
        (
            TRACE_ID + b"x",
            SPAN_ID + b"y",
            {"field.traceId": TRACE_ID.hex() + "78", "field.spanId": SPAN_ID.hex() + "79"},
        ),
    ],
)
def test_a_log_record_whose_ids_are_none_belongs_to_no_trace(
    trace_id: bytes, span_id: bytes, fields: dict[str, str]
) -> None:
    found = one_log(trace_id=trace_id, span_id=span_id)
    assert (found["traceId"], found["spanId"], found["fields"]) == (NO_TRACE, None, fields)


def log_of(**fields: object) -> LogRecord:
    """Return the log record of a JSON object."""
    body = orjson.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [fields]}]}]})
    (record,) = logs_of_json(body, RULE, MOST, DIGEST, RECEIVED).records
    return LOG_RECORD.decode(LOG_RECORD.encode(record))


@pytest.mark.parametrize(
    ("severity", "level"),
    [
        (17, "ERROR"),
        ("17", "ERROR"),
        ("SEVERITY_NUMBER_ERROR2", "ERROR"),
        (0, None),
        ("x", None),
        ([], None),
        (17.5, None),
    ],
)
def test_a_severity_is_a_number_or_a_name(severity: object, level: str | None) -> None:
    found = log_of(severityNumber=severity)
    assert (found["level"], bool(found["flags"] & Flag.ERROR)) == (level, level is not None)


def test_the_names_of_the_protocol_are_those_of_json_too() -> None:
    found = log_of(trace_id=TRACE_ID.hex(), span_id=SPAN_ID.hex().upper(), time_unix_nano=START, severity_text="info")
    assert (found["traceId"], found["spanId"], found["timestamp"], found["level"]) == (
        TRACE_ID, SPAN_ID.hex(), START // 1000, "INFO",
    )  # fmt: skip


def test_a_trace_id_in_another_spelling_is_read_and_kept() -> None:
    uuid = "463ac35c-9f64-13ad-4848-5a3953bb6124"
    found = log_of(traceId=uuid)
    assert (found["traceId"], found["fields"]) == (TRACE_ID, {"field.traceId": uuid})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"stringValue": "x"}, "x"),
        ("x", "x"),
        ({}, ""),
        (None, ""),
        ({"bytesValue": "AP8="}, "00ff"),
        ({"kvlistValue": {"values": [{"key": "a", "value": {"doubleValue": "NaN"}}]}}, '{"a":"NaN"}'),
    ],
)
def test_the_body_of_a_log_record_is_text(body: object, message: str) -> None:
    assert log_of(body=body)["message"] == message


def test_ids_in_base64_are_taken_and_counted() -> None:
    ids = {"traceId": "RjrDXJ9kE61ISFo5U7thJA==", "spanId": "ovtKHRqW0xI="}
    spans = {"resourceSpans": [{"scopeSpans": [{"spans": [{**ids, "parentSpanId": "AAAAAAAAAKs=", "links": [ids]}]}]}]}
    found = spans_of_json(orjson.dumps(spans), RULE, MOST)
    (taken,) = found.records
    assert (taken["traceId"], taken["id"], taken["parentId"]) == (TRACE_ID, SPAN_ID.hex(), "00000000000000ab")
    assert taken["tags"]["otel.links"] == f'[{{"traceId":"{TRACE_ID.hex()}","spanId":"{SPAN_ID.hex()}"}}]'
    assert found.notes == {"base64 id": 5}
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [ids, ids]}]}]}
    lines = logs_of_json(orjson.dumps(logs), RULE, MOST, DIGEST, RECEIVED)
    assert {(line["traceId"], line["spanId"]) for line in lines.records} == {(TRACE_ID, SPAN_ID.hex())}
    assert lines.notes == {"base64 id": 4}


def test_unknown_fields_are_ignored() -> None:
    request = spans_request(span_message())
    plain = [SPAN.encode(found.records[0]) for found in both_spans(request)]
    unknown = b"\xf2\x3f\x03abc"  # field 1022
    more = ExportTraceServiceRequest.FromString(request.SerializeToString() + unknown)
    message = more.resource_spans[0].scope_spans[0].spans[0]
    message.MergeFromString(unknown)
    value = orjson.loads(as_json(request))
    value["new"] = value["resourceSpans"][0]["new"] = value["resourceSpans"][0]["scopeSpans"][0]["new"] = {"a": 1}
    value["resourceSpans"][0]["scopeSpans"][0]["spans"][0] |= {"new": 1, "shared": True, "debug": "x"}
    assert unknown in more.SerializeToString()
    assert SPAN.encode(spans_of_protobuf(more.SerializeToString(), RULE, MOST).records[0]) == plain[0]
    assert SPAN.encode(spans_of_json(orjson.dumps(value), RULE, MOST).records[0]) == plain[1]
    assert log_of(new=1) == log_of()
