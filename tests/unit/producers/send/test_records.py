"""Merging files by time."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from pipeline.cli.input_file import Item, LineItem, Refusal
from pipeline.formats.envelopes import Entry
from producers.send.records import Parser, Ready, in_order
from tracelink.kafka.messages import RecordEncoder
from tracelink.kafka.topics import TopicNames
from tracelink.model.records import ErrorRule

PARSER = Parser(RecordEncoder(TopicNames()), ErrorRule(), 1024)


def spans(name: str, times: Sequence[int | None]) -> list[Item]:
    value = {"traceId": "a", "id": "b"}
    return [Item(f"{name}:{i}", f"{name}-{i}", {**value, "timestamp": time}) for i, time in enumerate(times)]


def places(*files: list[Item]) -> list[str]:
    return [found.place for found in in_order([PARSER.spans(file) for file in files])]


def test_files_are_merged_by_the_times_of_their_records() -> None:
    logs = [LineItem("l:0", "l-0", Entry({"time": 1_674_984_128_000_001, "message": "x"}, None))]
    times: list[int | None] = [1_674_984_128_000_000, 1_674_984_128_000_002]
    merged = in_order([PARSER.spans(spans("s", times)), PARSER.logs(logs, 0)])
    assert [found.place for found in merged] == ["s:0", "l:0", "s:1"]


def test_a_refusal_keeps_its_place_among_the_records_of_its_file() -> None:
    broken = Item("a:1", "a-1", {"traceId": "no"})
    (first, second) = spans("a", [5, 6])
    assert places([first, broken, second], spans("b", [5, 7])) == ["a:0", "a:1", "b:0", "a:1", "b:1"]


def test_a_value_with_many_spans_is_many_records_and_refusals_with_one_place() -> None:
    span = {"spanId": "b", "startTimeUnixNano": "1674984128000000000"}
    batch = [
        {"scopeSpans": [{"spans": [{"traceId": "a", **span}, {"traceId": "x", **span}, {"traceId": "c", **span}]}]}
    ]
    parser = Parser(RecordEncoder(TopicNames()), ErrorRule(), 1024)
    first, refused, last = in_order([parser.spans([Item("a:1", "a-1", {"resourceSpans": batch})])])
    assert isinstance(first, Ready)
    assert isinstance(last, Ready)
    assert (first.message.key, last.message.key) == (b"a".rjust(32, b"0"), b"c".rjust(32, b"0"))
    assert isinstance(refused, Refusal)
    assert refused.detail.startswith("OTLP resourceSpans[0].scopeSpans[0].spans[1]: ")
    assert [first.place, refused.place, last.place] == ["a:1"] * 3
    assert parser.formats == {"OTLP": 2}


def test_log_lines_among_spans_are_refused_with_a_hint() -> None:
    line = {"time": 1_674_984_128, "level": "INFO", "message": "charged"}
    (refused,) = in_order([PARSER.spans([Item("a:1", "a-1", line)])])
    assert isinstance(refused, Refusal)
    assert "--logs" in refused.detail
    assert [type(found) for found in in_order([PARSER.logs([LineItem("a:1", "a-1", Entry(line, None))], 0)])] == [Ready]


def test_a_record_that_is_too_large_is_refused() -> None:
    (found,) = in_order([PARSER.spans([Item("a:1", "a-1", {"traceId": "a", "id": "b", "name": "x" * 2000})])])
    assert isinstance(found, Refusal)
    assert found.reason == "too large"


@given(st.lists(st.lists(st.none() | st.integers(1, 50), max_size=8), max_size=4))
def test_every_file_keeps_its_own_order_and_sorted_files_come_out_sorted(files: list[list[int | None]]) -> None:
    inputs = [spans(str(number), times) for number, times in enumerate(files)]
    merged = places(*inputs)
    for number, file in enumerate(inputs):
        assert [place for place in merged if place.startswith(f"{number}:")] == [item.place for item in file]

    ordered = [spans(str(number), sorted(t or 1 for t in times)) for number, times in enumerate(files)]
    time_of = {item.place: item.value["timestamp"] for file in ordered for item in file}  # type: ignore[index]  # a span's object
    out = [time_of[found.place] for found in in_order([PARSER.spans(file) for file in ordered])]
    assert out == sorted(out)


def test_messages_are_ready_to_send() -> None:
    (found,) = in_order([PARSER.spans(spans("a", [1]))])
    assert isinstance(found, Ready)
    assert found.message.key == b"a".rjust(32, b"0")
