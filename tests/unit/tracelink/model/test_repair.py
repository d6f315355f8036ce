"""Records that do not fit their schema, and what is left of them."""

import math
import time
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelink.model.codec import LOG_RECORD, SPAN
from tracelink.model.records import LogRecord, Span
from tracelink.model.repair import repaired_log, repaired_span

TRACE_ID = bytes.fromhex("463ac35c9f6413ad48485a3953bb6124")


def span(**values: object) -> Span:
    made = {"flags": 2, "traceId": TRACE_ID, "id": "000000000000000a", "name": "get", "tags": {"a": "b"}, **values}
    return cast("Span", made)


def log(**values: object) -> LogRecord:
    made = {
        "flags": 0,
        "traceId": TRACE_ID,
        "id": "a-1",
        "timestamp": 7,
        "message": "hello",
        "fields": {"a": "b"},
        **values,
    }
    return cast("LogRecord", made)


def encoded_span(made: Span) -> Span:
    return SPAN.decode(SPAN.encode(repaired_span(made)))


def encoded_log(made: LogRecord) -> LogRecord:
    return LOG_RECORD.decode(LOG_RECORD.encode(repaired_log(made)))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("timestamp", 2**70, str(2**70)),
        ("timestamp", math.nan, "NaN"),
        ("timestamp", "yesterday", "yesterday"),
        ("duration", -math.inf, "-Infinity"),
        ("kind", "SIDEWAYS", "SIDEWAYS"),
        ("kind", ["CLIENT"], '["CLIENT"]'),
        ("localEndpoint", "cart", "cart"),
    ],
)
def test_a_value_that_does_not_fit_is_a_tag_instead(name: str, value: object, said: str) -> None:
    found = encoded_span(span(**{name: value}))
    assert found[name] is None  # type: ignore[literal-required]  # a name of the table
    assert found["tags"] == {"a": "b", f"tracelink.invalid.{name}": said}


def test_a_value_within_another_that_does_not_fit_has_its_path() -> None:
    found = encoded_span(span(remoteEndpoint={"ipv4": "10.0.0.1", "port": 2**40}))
    assert found["remoteEndpoint"] == {"serviceName": None, "ipv4": "10.0.0.1", "ipv6": None, "port": None}
    assert found["tags"]["tracelink.invalid.remoteEndpoint.port"] == str(2**40)


def test_an_annotation_without_a_usable_time_is_a_tag() -> None:
    good = {"timestamp": 5, "value": "miss \ud800"}
    found = encoded_span(span(annotations=[good, {"timestamp": math.nan, "value": "retry"}, {"value": "no time"}]))
    assert found["annotations"] == [{"timestamp": 5, "value": "miss ?"}]
    assert found["tags"]["tracelink.invalid.annotations.1"] == '{"timestamp":"NaN","value":"retry"}'
    assert found["tags"]["tracelink.invalid.annotations.2"] == '{"value":"no time"}'


def test_texts_become_valid_and_no_name_replaces_another() -> None:
    names = ["n" + chr(0xD800), "n" + chr(0xD801), "n?"]
    found = encoded_span(span(name="a\ud800", tags=dict(zip(names, "123", strict=True)) | {7: 8, "v": "\udc00"}))
    assert found["name"] == "a?"
    assert found["tags"] == {"n?": "1", "n?'": "2", "n?''": "3", "7": "8", "v": "?"}


def test_numbers_of_other_types_are_numbers() -> None:
    found = encoded_span(span(timestamp=5.0, duration=True, shared=1, name=7))
    assert (found["timestamp"], found["duration"], found["shared"], found["name"]) == (5, 1, True, "7")


@pytest.mark.parametrize("timestamp", [2**63, math.nan, None, "now"])
def test_a_log_record_without_a_usable_time_has_the_present(timestamp: object) -> None:
    found = encoded_log(log(timestamp=timestamp))
    assert abs(found["timestamp"] - time.time() * 1e6) < 60e6
    assert found["fields"] == {
        "a": "b",
        "tracelink.invalid.timestamp": "null" if timestamp is None else str(timestamp).replace("nan", "NaN"),
    }


def test_a_log_record_keeps_its_texts() -> None:
    found = encoded_log(log(message="a\ud800", logger=3, exception={"type": "E\ud800", "message": None}))
    assert (found["message"], found["logger"], found["timestamp"]) == ("a?", "3", 7)
    assert found["exception"] == {"type": "E?", "message": None, "stackTrace": None}


@pytest.mark.parametrize("broken", [{"traceId": b"short"}, {"traceId": "text"}, {"flags": None}, {"tags": [1]}])
def test_a_record_without_valid_ids_cannot_be_repaired(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - it has no text
        repaired_span(span(**broken))
    with pytest.raises(KeyError):
        repaired_log(cast("LogRecord", {"flags": 0}))


ODD = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary()


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "name": ODD,
            "kind": ODD,
            "timestamp": ODD,
            "duration": ODD,
            "debug": ODD,
            "localEndpoint": st.none() | st.fixed_dictionaries({"serviceName": ODD, "port": ODD}),
            "annotations": st.lists(st.fixed_dictionaries({"timestamp": ODD, "value": ODD}), max_size=3),
            "tags": st.dictionaries(st.text(st.characters(), max_size=2) | st.integers(), ODD, max_size=3),
        },
    )
)
def test_whatever_a_span_holds_it_is_encoded(values: dict[str, Any]) -> None:
    found = encoded_span(span(**values))
    assert found["traceId"] == TRACE_ID
    assert len(found["tags"]) >= len(values.get("tags", ()))


@given(st.fixed_dictionaries({"timestamp": ODD, "message": ODD, "level": ODD, "spanId": ODD}))
def test_whatever_a_log_record_holds_it_is_encoded(values: dict[str, Any]) -> None:
    assert encoded_log(log(**values))["id"] == "a-1"


def test_a_record_that_fits_stays_as_it_is() -> None:
    given_span, given_log = (
        span(timestamp=5, kind="CLIENT", annotations=[{"timestamp": 1, "value": "x"}]),
        log(level="INFO"),
    )
    assert SPAN.encode(repaired_span(given_span)) == SPAN.encode(given_span)
    assert LOG_RECORD.encode(repaired_log(given_log)) == LOG_RECORD.encode(given_log)
