"""Redaction at the gateway: what a sender of any protocol puts into tags, fields and nested values stays there."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from producers.gateway.lines import Lines
from producers.gateway.otlp import Logs, Traces
from producers.gateway.protocol import JSON, PROTOBUF, Door, Encoder, Request
from producers.gateway.settings import GatewaySettings
from producers.gateway.zipkin import Spans
from tests.kit import otlp
from tests.kit.zipkin_spans import list_of, message

_NESTED = {"user": {"ssn": "nested-secret", "seen": "kept-nested"}}
_IDS = {"traceId": otlp.TRACE_ID.hex(), "id": otlp.SPAN_ID.hex()}
_TAGS = {"ssn": "plain-secret", "note": "pwd=text-secret", "body": json.dumps(_NESTED), "shop": "kept-plain"}
_SECRETS = (b"plain-secret", b"nested-secret", b"text-secret")
_KEPT = (b"kept-plain", b"kept-nested", b"[redacted]")
_RECEIVED = 1_795_162_531_000_000


def _text(value: str) -> AnyValue:
    return AnyValue(string_value=value)


def _map(**members: AnyValue) -> AnyValue:
    return AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key=name, value=one) for name, one in members.items()]))


_USER = _map(ssn=_text("nested-secret"), seen=_text("kept-nested"))
_PLAIN = [
    KeyValue(key="ssn", value=_text("plain-secret")),
    KeyValue(key="note", value=_text("pwd=text-secret")),
    KeyValue(key="shop", value=_text("kept-plain")),
]
_ATTRIBUTES = [*_PLAIN, KeyValue(key="user", value=_USER)]
_TRACES = otlp.spans_request(otlp.span_message(attributes=_ATTRIBUTES))
_EVENTS = otlp.spans_request(
    otlp.span_message(
        attributes=_PLAIN,
        events=[Span.Event(time_unix_nano=otlp.START, name="login", attributes=_ATTRIBUTES)],
        links=[Span.Link(trace_id=otlp.TRACE_ID, span_id=otlp.SPAN_ID, attributes=_ATTRIBUTES)],
    )
)
_RESOURCE = otlp.spans_request(otlp.span_message())
_RESOURCE.resource_spans[0].resource.attributes.extend(_ATTRIBUTES)
_LOGS = otlp.logs_request(LogRecord(time_unix_nano=otlp.START, attributes=_ATTRIBUTES))
_BODY = otlp.logs_request(LogRecord(time_unix_nano=otlp.START, body=_map(user=_USER), attributes=_PLAIN))
_V1 = {**_IDS, "name": "x", "timestamp": _RECEIVED} | {
    "binaryAnnotations": [{"key": name, "value": one} for name, one in _TAGS.items()]
}
_LINE = {"time": "2026-01-01T00:00:00Z", "message": "login"} | {k: v for k, v in _TAGS.items() if k != "body"}
_CASES: dict[str, tuple[Callable[[Encoder], Door], str, bytes]] = {
    "otlp spans": (Traces, PROTOBUF, _TRACES.SerializeToString()),
    "otlp spans json": (Traces, JSON, otlp.as_json(_TRACES)),
    "otlp events and links": (Traces, PROTOBUF, _EVENTS.SerializeToString()),
    "otlp resource": (Traces, PROTOBUF, _RESOURCE.SerializeToString()),
    "otlp logs": (Logs, PROTOBUF, _LOGS.SerializeToString()),
    "otlp logs json": (Logs, JSON, otlp.as_json(_LOGS)),
    "otlp body": (Logs, PROTOBUF, _BODY.SerializeToString()),
    "zipkin": (lambda encoder: Spans(encoder, version=2), JSON, json.dumps([{**_IDS, "tags": _TAGS}]).encode()),
    "zipkin v1": (lambda encoder: Spans(encoder, version=1), JSON, json.dumps([_V1]).encode()),
    "zipkin proto": (
        lambda encoder: Spans(encoder, version=2), PROTOBUF, list_of(message({**_IDS, "tags": _TAGS})),
    ),
    "json lines": (Lines, "", json.dumps({**_LINE, **_NESTED}).encode()),
    "lines in json": (Lines, "", json.dumps({**_LINE, "message": json.dumps(_NESTED)}).encode()),
}  # fmt: skip


def _written(case: str, **settings: Any) -> bytes:  # noqa: ANN401 - of any type
    """Return the values of all messages of a request."""
    make, content_type, body = _CASES[case]
    door = make(Encoder(GatewaySettings.load(**settings)))
    taken = door.decode(Request(content_type, body, _RECEIVED))
    assert len(taken.messages) == 1
    return taken.messages[0].value


@pytest.mark.parametrize("case", _CASES)
def test_secrets_are_redacted_before_they_go_to_kafka_if_that_is_wanted(case: str) -> None:
    value = _written(case, gateway_redact="true", redact_names="ssn")
    assert [one for one in _SECRETS if one in value] == []
    assert [one for one in _KEPT if one not in value] == []


@pytest.mark.parametrize("case", _CASES)
def test_by_default_records_go_to_kafka_as_they_came(case: str) -> None:
    value = _written(case, redact_names="ssn")
    assert [one for one in _SECRETS if one not in value] == []


def test_a_record_that_is_cut_is_redacted_first() -> None:
    secret = {**_IDS, "tags": {"note": "x" * 1000 + "password=hunter2"}}
    body = json.dumps([secret]).encode()
    for size in range(1180, 1300, 8):
        settings = {"gateway_redact": "true", "max_record_bytes": str(size)}
        door = Spans(Encoder(GatewaySettings.load(**settings)), version=2)
        (message,) = door.decode(Request(JSON, body, _RECEIVED)).messages
        assert b"hunter" not in message.value
