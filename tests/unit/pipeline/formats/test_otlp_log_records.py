"""Log records of OTLP: the same in protobuf and in JSON."""

from typing import Any

import orjson
import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as LogMessage

from tests.kit.otlp import SPAN_ID, START, TRACE_ID, as_json, logs_request
from tests.kit.otlp_decoders import DIGEST, RECEIVED, both_logs, logs_of, one_log
from tracelink.model.codec import LOG_RECORD
from tracelink.model.records import NO_TRACE, Flag, LogRecord


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


@pytest.mark.parametrize("scope", ["", "shop.cart"])
def test_an_attribute_named_like_the_scopes_name_is_kept(scope: str) -> None:
    record = LogMessage()
    record.attributes.add(key="otel.scope.name").value.string_value = "mine"
    request = logs_request(record)
    request.resource_logs[0].scope_logs[0].scope.name = scope
    for found in both_logs(request):
        (kept,) = found.records
        assert (kept["logger"], kept["fields"]) == (scope or None, {"otel.scope.name": "mine"})


def test_a_repeated_request_repeats_the_ids_of_its_log_records() -> None:
    request = logs_request(*[LogMessage(severity_text="same")] * 3)
    request.resource_logs.add().scope_logs.add().log_records.add()
    for found in (*both_logs(request), *both_logs(request)):
        assert [record["id"] for record in found.records] == [f"{DIGEST}-{number}" for number in range(4)]


def test_a_refused_log_record_has_a_number_too() -> None:
    body = as_json(logs_request(*[LogMessage(severity_text="x")] * 3)).replace(
        b'"severityText":"x"', b'"attributes":7', 1
    )
    found = logs_of(body, as_json=True)
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
    (record,) = logs_of(body, as_json=True).records
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
