"""The fields of spans and log lines, and the words that a search finds them by."""

from typing import Any

import pytest

from sinks.page.record_fields import exception_of, fields_of, level_of, words
from sinks.page.waterfall import Row, Waterfall
from tests.kit.page import at, found, line, span


def span_row(**fields: Any) -> Row:  # noqa: ANN401 - of a document
    return Waterfall.of(found([span("1", **fields)])).rows[0]


def line_row(message: str = "hello", **fields: Any) -> Row:  # noqa: ANN401 - as above
    return Waterfall.of(found([], [line(message, **fields)])).rows[0]


def events(value: str) -> list[tuple[str, str]]:
    """Return the fields that an annotation gives."""
    fields = fields_of(span_row(annotations=[{"timestamp": at(2.5), "value": value}]))
    return [one for one in fields if one[0] not in {"span", "start", "duration", "from"}]


def test_a_span_has_its_fields_in_order_then_events_and_tags() -> None:
    row = span_row(
        kind="CLIENT",
        duration=1_234_567,
        localEndpoint={"serviceName": "cart", "ipv4": "10.0.0.1", "port": 80},
        remoteEndpoint={"ipv6": "2001:db8::1", "port": 443},
        annotations=[{"timestamp": at(1), "value": "sent"}],
        tags={"http.method": "GET", "a": "1"},
    )
    assert fields_of(row) == [
        ("span", "1"),
        ("kind", "CLIENT"),
        ("start", "2026-01-01 00:00:00.000 UTC"),
        ("duration", "1,234,567 µs"),
        ("from", "cart 10.0.0.1:80"),
        ("to", "[2001:db8::1]:443"),
        ("event, 1.0 ms after its start", "sent"),
        ("a", "1"),
        ("http.method", "GET"),
    ]


def test_a_bare_span_says_that_it_has_no_end_and_no_time() -> None:
    assert fields_of(span_row(timestamp=None, duration=None, localEndpoint=None)) == [
        ("span", "1"),
        ("start", "no time"),
        ("duration", "not ended"),
    ]
    annotated = span_row(timestamp=None, annotations=[{"timestamp": at(1), "value": "sent"}])
    assert ("event", "sent") in fields_of(annotated)


def test_an_event_of_opentelemetry_has_its_attributes_on_their_own() -> None:
    value = '"exception": {"exception.type":"ValueError","exception.message":"no","count":3}'
    assert events(value) == [
        ("event, 2.5 ms after its start", "exception"),
        ("exception.type", "ValueError"),
        ("exception.message", "no"),
        ("count", "3"),
    ]


@pytest.mark.parametrize(
    "value",
    ["sent", '"name": {', '"name": {"a": }', '"name": {}{}', "{}", '"": {"a":1}', '"a": [1]', '"n": {"a":"\\ud800"}'],
)
def test_another_event_is_its_text(value: str) -> None:
    assert events(value) == [("event, 2.5 ms after its start", value)]


def test_an_event_that_is_nested_deeper_than_python_recurses_is_shown() -> None:
    (_, name), (key, value) = events('"deep": {"a":' + "[" * 900 + "]" * 900 + "}")
    assert (name, key) == ("deep", "a")
    assert "[[[[" in value


def test_a_line_has_its_fields_in_order_then_labels() -> None:
    row = line_row(
        log={"level": "ERROR", "logger": "shop.cart"},
        error={"type": "ValueError", "message": "no", "stack_trace": "Traceback\n  at x"},
        labels={"user": "7", "a": ""},
        span={"id": "s1"},
    )
    assert fields_of(row) == [
        ("message", "hello"),
        ("time", "2026-01-01 00:00:00.001 UTC"),
        ("service", "cart"),
        ("level", "ERROR"),
        ("logger", "shop.cart"),
        ("exception", "ValueError"),
        ("exception's message", "no"),
        ("stack trace", "Traceback\n  at x"),
        ("span", "s1"),
        ("user", "7"),
        ("document", "hello"),
    ]


def test_the_level_of_a_line_is_its_own_and_a_span_has_none() -> None:
    assert level_of(line_row()) == "INFO"
    assert level_of(line_row(log={})) is None
    assert level_of(span_row()) is None


@pytest.mark.parametrize(
    ("error", "message", "said"),
    [
        ({"type": "ValueError", "message": "no"}, "failed", "ValueError: no"),
        ({"type": "ValueError"}, "failed", "ValueError"),
        ({"type": "ValueError", "message": "no"}, "failed: ValueError", ""),
        ({"message": "no"}, "failed", ""),
        ({}, "failed", ""),
    ],
)
def test_an_exception_is_named_beside_a_message_that_does_not_name_it(
    error: dict[str, Any], message: str, said: str
) -> None:
    assert exception_of(line_row(message, error=error)) == said
    assert exception_of(span_row()) == ""


def test_a_record_is_found_by_all_its_texts() -> None:
    found_by = words(span_row(tags={"k": "TAG"}, annotations=[{"timestamp": 1, "value": "Event"}])).split("\n")
    assert found_by == ["op 1", "cart", "tag", "event"]
    found_by = words(line_row("Hello", error={"type": "Err"}, labels={"k": "LABEL"})).split("\n")
    assert found_by == ["hello", "cart", "err", "label"]
    assert words(span_row(name=None, localEndpoint=None)) == ""
