"""The headers of dead letters: what is encoded is what is read."""

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, Message

from pipeline.model.dead_letters import CUT_FROM, REDRIVEN, DeadLetterHeaders, Origin, headers, redriven
from tracelink.errors import InvalidRecord, Reason

ORIGIN = Origin("tracelink.spans", 3, 4711, 1_790_000_000_000)


def test_the_spelling_on_the_wire_stays() -> None:
    assert headers(InvalidRecord(Reason.BODY, "x" * 600), ORIGIN, sink="zipkin", kind="span") == [
        ("tracelink.reason", b"body"),
        ("tracelink.detail", b"x" * 512),
        ("tracelink.topic", b"tracelink.spans"),
        ("tracelink.partition", b"3"),
        ("tracelink.offset", b"4711"),
        ("tracelink.timestamp", b"1790000000000"),
        ("tracelink.sink", b"zipkin"),
        ("tracelink.kind", b"span"),
    ]
    assert (CUT_FROM, REDRIVEN) == ("tracelink.cut-from-bytes", "tracelink.redriven")


def test_what_is_encoded_is_what_is_read() -> None:
    encoded = [*headers(InvalidRecord(Reason.BODY, "odd"), ORIGIN), (CUT_FROM, b"2000000"), (REDRIVEN, b"2")]
    found = DeadLetterHeaders.of(Message(headers=[*encoded]))
    assert found.texts == {name: value.decode() for name, value in encoded}
    assert (found.reason, found.detail, found.sink, found.kind) == ("body", "odd", None, None)
    assert found.topic == ORIGIN.topic
    assert (found.partition, found.offset, found.timestamp) == (ORIGIN.partition, ORIGIN.offset, ORIGIN.timestamp)
    assert (found.cut_from, found.redriven) == (2_000_000, 2)


def test_headers_that_say_nothing_are_read_as_nothing() -> None:
    found = DeadLetterHeaders.of(Message())
    assert (found.reason, found.detail, found.topic) == ("", "", "")
    assert (found.partition, found.offset, found.timestamp, found.sink, found.kind) == (None,) * 5
    assert (found.cut_from, found.redriven) == (None, 0)


@pytest.mark.parametrize("number", [b"", b"-1", b"+1", b"1_0", b"9" * 19, b"\xff", None])
def test_a_number_that_is_none_is_not_known(number: bytes | None) -> None:
    found = DeadLetterHeaders.of(
        Message(headers=[("tracelink.offset", number), (CUT_FROM, number), (REDRIVEN, number)])
    )
    assert (found.offset, found.cut_from, found.redriven) == (None, 0, 0)


def test_how_often_it_was_redriven_has_room_for_once_more() -> None:
    assert DeadLetterHeaders.parse({REDRIVEN: "9" * 18}).redriven + 1 == 2**31 - 1


def test_a_dead_letter_carries_on_how_often_it_was_redriven_and_nothing_else() -> None:
    assert redriven([("tracelink.offset", b"7"), (REDRIVEN, b"2"), ("app", b"x")]) == [(REDRIVEN, b"2")]
    assert redriven([(REDRIVEN, None)]) == []
    assert redriven(None) == []


def test_the_origin_of_a_message_is_where_it_was_read() -> None:
    message = Message(topic="tracelink.spans", partition=3, offset=4711, timestamp=(TIMESTAMP_CREATE_TIME, 1234))
    assert Origin.of(message) == Origin("tracelink.spans", 3, 4711, 1234)
