"""Telling formats apart: which values are spans, and what is said of those that are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats.invalid_input import InvalidInput
from pipeline.formats.spans import SpanReader, span_format
from tracelink.model.codec import SPAN
from tracelink.model.records import ErrorRule

V2 = {"traceId": "463ac35c9f6413ad48485a3953bb6124", "id": "a2fb4a1d1a96d312"}


def refusal(value: object) -> InvalidInput:
    (found,) = SpanReader(ErrorRule()).read(value)
    assert isinstance(found, InvalidInput)
    return found


@pytest.mark.parametrize(
    "line",
    [
        {"@timestamp": "2026-11-20T08:15:30Z", "message": "charged", "log.level": "INFO"},
        {"time": 1, "level": 30, "msg": "charged", "trace_id": "463ac35c9f6413ad48485a3953bb6124"},
        {"traceId": "463ac35c9f6413ad48485a3953bb6124", "spanId": "a", "message": "charged"},
        {"traceId": "463ac35c9f6413ad48485a3953bb6124", "id": "77", "message": "charged", "level": "info"},
        {"@t": "2026-11-20T08:15:30Z", "@mt": "charged", "@tr": "463ac35c9f6413ad48485a3953bb6124"},
        {"short_message": "charged", "level": 3, "version": "1.1"},
        {"severity": "ERROR", "textPayload": "charged"},
    ],
)
def test_a_log_line_is_refused_with_a_hint(line: dict[str, object]) -> None:
    assert refusal(line).reason == "log line"
    assert "--logs" in refusal(line).detail
    assert span_format(line) is None


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ({"resourceLogs": []}, "--logs"),
        ({"resourceMetrics": []}, "metrics"),
        ({"traceId": "a.b.c", "traceSegmentId": "x", "spans": []}, "SkyWalking"),
        ({"trace_id": 1, "span_id": 2, "meta": {}, "name": "x"}, "Datadog"),
        ({"trace_id": "1-581cf771-a006649127e371903a2de979", "id": "7", "start_time": 1.5}, "X-Ray"),
        ({"name": "x", "context": {"trace_id": "0x1"}, "start_time": "", "end_time": ""}, "console"),
        ({"name": "x"}, "OTLP"),
        ({}, "Zipkin"),
    ],
)
def test_another_format_is_refused_by_its_name_or_with_those_that_are_read(value: object, word: str) -> None:
    assert word in refusal(value).detail


@pytest.mark.parametrize("value", [None, 7, "text", [], [V2], True])
def test_what_is_no_object_is_refused(value: object) -> None:
    assert refusal(value).reason == "no object"


def test_a_span_may_have_a_field_that_loggers_use() -> None:
    (span,) = SpanReader(ErrorRule()).read({**V2, "name": "charge", "level": "info"})
    assert not isinstance(span, InvalidInput)
    assert span["tags"] == {"field.level": "info"}


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ({**V2, "name": "charge"}, "Zipkin v2"),
        ({**V2, "kind": "SERVER", "duration": 5}, "Zipkin v2"),
        ({**V2, "binaryAnnotations": []}, "Zipkin v1"),
        ({"resourceSpans": []}, "OTLP"),
        ({"spanId": "a", "startTimeUnixNano": 1}, "OTLP"),
        ({"data": [{"spans": []}]}, "Jaeger"),
        ({"traceID": "a", "spanID": "b", "operationName": "x"}, "Jaeger"),
        ({**V2, "name": "shop", "message": "charged"}, None),
        (V2, None),
        ({"data": {"order": 7}, "message": "charged"}, None),
        ({"data": [1, 2], "time": 1}, None),
        ({"spans": 3, "message": "closed"}, None),
        ({"message": "charged"}, None),
        ("text", None),
    ],
)
def test_spans_among_log_lines_are_known(value: object, name: str | None) -> None:
    assert span_format(value) == name


def test_a_text_is_refused_with_a_hint() -> None:
    assert "--logs" in refusal("2026-11-20 08:15:30 INFO charged").detail


# Names and values of every format, so that random values come near to spans.
NAMES = st.sampled_from(
    [
        "traceId", "id", "parentId", "kind", "name", "timestamp", "duration", "localEndpoint", "remoteEndpoint", "tags",
        "annotations", "binaryAnnotations", "endpoint", "serviceName", "ipv4", "port", "key", "value", "debug",
        "resourceSpans", "scopeSpans", "spans", "resource", "scope", "attributes", "spanId", "parentSpanId", "status",
        "code", "message", "events", "links", "startTimeUnixNano", "endTimeUnixNano", "timeUnixNano", "stringValue",
        "arrayValue", "kvlistValue", "values", "trace", "data", "traceID", "spanID", "operationName", "references",
        "refType", "startTime", "logs", "fields", "process", "processID", "processes", "flags", "tag",
    ]
)  # fmt: skip
VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(
        ["a", "463ac35c9f6413ad", "CHILD_OF", "cs", "sr", "ca", "sa", "SERVER", "error", "event", "2", ""]
    )
)
NEARLY = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=30,
)


@given(st.dictionaries(NAMES, NEARLY, max_size=8))
def test_whatever_is_nearly_a_span_is_refused_or_can_be_sent(value: dict[str, object]) -> None:
    assert span_format(value) is None or isinstance(span_format(value), str)
    for found in SpanReader(ErrorRule()).read(value):
        if not isinstance(found, InvalidInput):
            assert SPAN.decode(SPAN.encode(found))["id"] == found["id"]
