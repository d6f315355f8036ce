"""Records that are too large, and which of their texts are cut."""

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelink.model.codec import LOG_RECORD, SPAN
from tracelink.model.records import LogRecord, Span
from tracelink.model.truncation import TRUNCATED, truncated

TRACE_ID = bytes.fromhex("463ac35c9f6413ad48485a3953bb6124")
LARGEST = 100_000


def span(**values: object) -> Span:
    made = {
        "flags": 3,
        "traceId": TRACE_ID,
        "id": "000000000000000a",
        "kind": "SERVER",
        "name": "get",
        "timestamp": 5,
        **values,
    }
    return cast("Span", made)


def cut_span(made: Span, largest: int = LARGEST) -> tuple[Span, int]:
    """Return a span that was cut to a size, as it is read, and its size."""
    excess = len(SPAN.encode(made)) - largest
    assert excess > 0
    message = SPAN.encode(truncated(made, excess, "tags"))
    return SPAN.decode(message), len(message)


def cut_log(**values: object) -> tuple[LogRecord, int]:
    made = {
        "flags": 1,
        "traceId": TRACE_ID,
        "id": "a-1",
        "timestamp": 7,
        "message": "hello",
        "fields": {"a": "b"},
        **values,
    }
    record = cast("LogRecord", made)
    excess = len(LOG_RECORD.encode(record)) - LARGEST
    assert excess > 0
    message = LOG_RECORD.encode(truncated(record, excess, "fields"))
    return LOG_RECORD.decode(message), len(message)


def test_the_immense_tag_is_cut_and_the_others_stay() -> None:
    found, size = cut_span(span(tags={"error": "refused", "body": "x" * 300_000, "url": "y" * 2000}))
    tags = found["tags"]
    assert tags["body"].rstrip("…").strip("x") == ""
    assert (tags["error"], tags["url"]) == ("refused", "y" * 2000)
    assert tags[TRUNCATED] == "body (300000 bytes)"
    assert LARGEST - 1000 < size <= LARGEST
    assert (found["flags"], found["id"], found["kind"], found["timestamp"]) == (3, "000000000000000a", "SERVER", 5)


def test_of_several_large_texts_the_largest_are_cut_to_one_size() -> None:
    found, size = cut_span(span(tags={"a": "x" * 90_000, "b": "y" * 70_000, "c": "z" * 10_000}))
    tags = found["tags"]
    assert len(tags["a"]) == len(tags["b"]) > 40_000
    assert tags["c"] == "z" * 10_000
    assert tags[TRUNCATED] == "a (90000 bytes), b (70000 bytes)"
    assert LARGEST - 1000 < size <= LARGEST


def test_many_tags_that_are_too_large_together_are_all_kept() -> None:
    found, size = cut_span(span(tags={f"tag{number}": "x" * 2000 for number in range(128)}))
    assert len(found["tags"]) == 129
    assert min(len(found["tags"][f"tag{number}"]) for number in range(128)) > 400
    assert found["tags"][TRUNCATED].endswith(", 120 more")
    assert size <= LARGEST


def test_of_too_many_tags_the_last_are_left_out() -> None:
    found, size = cut_span(span(tags={f"tag{number:06}": "v" for number in range(50_000)}))
    assert found["tags"]["tag000000"] == "v"
    left_out = 50_001 - len(found["tags"])
    assert found["tags"][TRUNCATED] == f"{left_out} entries left out"
    assert LARGEST / 4 < size <= LARGEST


def test_of_too_many_annotations_the_last_are_left_out() -> None:
    annotations = [{"timestamp": number, "value": f"retry {number}"} for number in range(50_000)]
    found, size = cut_span(span(annotations=annotations, tags={"a": "b"}))
    assert found["annotations"] == annotations[: len(found["annotations"])]
    assert found["tags"]["a"] == "b"
    assert size <= LARGEST


@pytest.mark.parametrize("name", ["name", "localEndpoint.serviceName", "annotations.0.value"])
def test_any_text_of_a_span_may_be_the_immense_one(name: str) -> None:
    immense = "é" * 100_000
    values: dict[str, dict[str, Any]] = {
        "name": {"name": immense},
        "localEndpoint.serviceName": {"localEndpoint": {"serviceName": immense}},
        "annotations.0.value": {"annotations": [{"timestamp": 1, "value": immense}]},
    }
    found, size = cut_span(span(**values[name]))
    assert found["tags"] == {TRUNCATED: f"{name} (200000 bytes)"}
    assert LARGEST - 1000 < size <= LARGEST


def test_an_immense_name_of_a_tag_is_cut_and_stays_different_from_others() -> None:
    found, size = cut_span(span(tags={"k" * 200_000 + "1": "one", "k" * 200_000 + "2": "two"}))
    names = [name for name in found["tags"] if name != TRUNCATED]
    assert [found["tags"][name] for name in names] == ["one", "two"]
    assert found["tags"][TRUNCATED].startswith("name of kkk")
    assert size <= LARGEST


def test_the_message_of_a_line_and_its_stack_trace_are_cut() -> None:
    found, size = cut_log(message="m" * 150_000, exception={"type": "E", "message": "e", "stackTrace": "s" * 150_000})
    exception = found["exception"]
    assert exception is not None
    assert (exception["type"], exception["message"]) == ("E", "e")
    assert len(found["message"]) == len(str(exception["stackTrace"])) > 40_000
    assert found["fields"] == {"a": "b", TRUNCATED: "message (150000 bytes), exception.stackTrace (150000 bytes)"}
    assert LARGEST - 1000 < size <= LARGEST


def test_no_character_is_cut_in_two() -> None:
    for length in range(70_000, 70_008):
        found, _ = cut_log(message="a" * (length % 5) + "🙂" * length)
        assert found["message"].strip("a").rstrip("…").strip("🙂") == ""


@given(
    st.dictionaries(st.text(max_size=30), st.text() | st.integers(0, 9000).map("x".__mul__), max_size=40),
    st.lists(st.integers(0, 3000).map("y".__mul__), max_size=10),
    st.integers(900, 5000),
)
def test_a_record_of_any_size_fits_afterwards(tags: dict[str, str], events: list[str], largest: int) -> None:
    made = span(tags=tags, annotations=[{"timestamp": 1, "value": value} for value in events], name="get /cart")
    if len(SPAN.encode(made)) > largest:
        found, size = cut_span(made, largest)
        assert size <= largest
        assert TRUNCATED in found["tags"]
