"""OpenTelemetry log records as ours."""

import pytest
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext

from tracelink.model.levels import ORIGINAL_LEVEL
from tracelink.model.records import NO_TRACE, ErrorRule, Flag
from tracelink.model.records import LogRecord as OurLogRecord
from tracelink.otel.logs import LogMapper


def mapped(
    body: object = "hello",
    *,
    trace_id: int = 0xA << 100,
    severity: str | None = None,
    number: SeverityNumber | None = None,
    attributes: dict[str, object] | None = None,
    timestamp: int | None = 7_999,
) -> OurLogRecord:
    context = trace.set_span_in_context(
        NonRecordingSpan(SpanContext(trace_id, 0xB if trace_id else 0, is_remote=False))
    )
    record = LogRecord(  # type: ignore[call-overload]  # any value may come as a body
        timestamp=timestamp,
        observed_timestamp=9_999,
        context=context,
        severity_text=severity,
        severity_number=number,
        body=body,
        attributes=BoundedAttributes(attributes=attributes, extended_attributes=True),  # type: ignore[arg-type]  # as above
    )
    readable = ReadableLogRecord(
        record, Resource({"service.name": "cart", "host.name": "h1"}), InstrumentationScope("shop.cart", "2")
    )
    return LogMapper(ErrorRule()).map(readable, "p-1")


def test_a_line_carries_its_trace_its_span_and_where_it_came_from() -> None:
    record = mapped(severity="Info", attributes={"n": 3})
    assert record == {
        "flags": 0,
        "traceId": (0xA << 100).to_bytes(16, "big"),
        "id": "p-1",
        "spanId": "000000000000000b",
        "timestamp": 7,
        "service": "cart",
        "level": "INFO",
        "logger": "shop.cart",
        "message": "hello",
        "exception": None,
        "fields": {"host.name": "h1", "otel.scope.version": "2", "n": "3"},
    }


def test_a_line_outside_of_a_trace_has_a_trace_id_of_zeros_and_no_span() -> None:
    record = mapped(trace_id=0)
    assert record["traceId"] == NO_TRACE
    assert record["spanId"] is None


def test_a_trace_id_that_came_with_64_bits_is_marked_so() -> None:
    assert mapped(trace_id=0xABC)["flags"] == Flag.SHORT_ID


@pytest.mark.parametrize(
    ("severity", "number", "level", "flags"),
    [
        ("ERROR", None, "ERROR", Flag.ERROR),
        (None, SeverityNumber.ERROR, "ERROR", Flag.ERROR),
        (None, SeverityNumber.FATAL3, "FATAL", Flag.ERROR),
        ("my own word", SeverityNumber.ERROR2, "ERROR", Flag.ERROR),
        ("my own word", None, "MY OWN WORD", 0),
        ("alert", SeverityNumber.ERROR3, "ALERT", Flag.ERROR),
        ("\x1b[31mError \x1b[0m", SeverityNumber.ERROR, "ERROR", Flag.ERROR),
        ("  warn", None, "WARN", 0),
        ("Level 25", SeverityNumber.INFO4, "INFO", 0),
        ("", SeverityNumber.DEBUG, "DEBUG", 0),
        (None, SeverityNumber.WARN4, "WARN", 0),
        (None, SeverityNumber.UNSPECIFIED, None, 0),
        (None, None, None, 0),
    ],
)
def test_a_line_is_errored_from_error_up(
    severity: str | None, number: SeverityNumber | None, level: str | None, flags: int
) -> None:
    record = mapped(severity=severity, number=number)
    assert (record["level"], record["flags"]) == (level, flags)


@pytest.mark.parametrize(
    ("severity", "number", "original"),
    [
        ("my own word", SeverityNumber.ERROR2, "my own word"),
        ("my own word", None, None),
        ("\x1b[31mError \x1b[0m", SeverityNumber.ERROR, None),
        ("Success", SeverityNumber.INFO2, "Success"),
        (None, SeverityNumber.INFO2, None),
    ],
)
def test_a_word_that_is_no_level_is_a_field_beside_that_of_its_number(
    severity: str | None, number: SeverityNumber | None, original: str | None
) -> None:
    assert mapped(severity=severity, number=number)["fields"].get(ORIGINAL_LEVEL) == original


def test_a_severity_number_may_be_a_plain_number() -> None:
    record = mapped(number=17)  # type: ignore[arg-type]  # what a caller without types may pass
    assert (record["level"], record["flags"]) == ("ERROR", Flag.ERROR)


def test_an_exception_has_fields_of_its_own() -> None:
    record = mapped(attributes={"exception.type": "KeyError", "exception.message": "'a'", "k": "v"})
    assert record["exception"] == {"type": "KeyError", "message": "'a'", "stackTrace": None}
    assert record["fields"]["k"] == "v"
    assert not any(name.startswith("exception.") for name in record["fields"])


def test_a_body_that_is_no_string_is_json_and_none_is_empty() -> None:
    assert mapped({"a": [1, True]})["message"] == '{"a":[1,true]}'
    assert mapped(None)["message"] == ""


def test_without_a_time_of_its_own_a_line_has_the_time_it_was_observed() -> None:
    assert mapped(timestamp=None)["timestamp"] == 9
