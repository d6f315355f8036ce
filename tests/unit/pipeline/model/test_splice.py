"""A trace made of its records' bytes."""

from io import BytesIO
from typing import cast

import pytest
from fastavro import schemaless_reader
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.splice import REASONS, decode, splice
from tests.kit.records import log_message, span_message, trace_id
from tests.kit.strategies import LONGS, TRACE_IDS, logs, spans
from tracelink.errors import InvalidRecord
from tracelink.model.avro import varint
from tracelink.model.codec import HEADER_BYTES, LOG_RECORD, SPAN, TRACE
from tracelink.model.records import LogRecord, Span, Trace


def spliced(spans: list[bytes], logs: list[bytes]) -> bytes:
    return splice(
        flags=2,
        trace_id=trace_id(1),
        name="s0-0",
        opened=1,
        closed=2,
        reason=0,
        spans=spans,
        logs=logs,
    )


@given(
    trace_id=TRACE_IDS,
    times=st.tuples(LONGS, LONGS),
    name=st.text(max_size=20),
    flags=st.integers(0, 7),
    reason=st.integers(0, len(REASONS) - 1),
    records=TRACE_IDS.flatmap(lambda one: st.tuples(st.lists(spans(st.just(one))), st.lists(logs(st.just(one))))),
)
def test_a_spliced_trace_equals_one_that_is_decoded_and_encoded(  # noqa: PLR0917 - the fields of a trace
    trace_id: bytes,
    times: tuple[int, int],
    name: str,
    flags: int,
    reason: int,
    records: tuple[list[Span], list[LogRecord]],
) -> None:
    message = splice(
        flags=flags << 1,
        trace_id=trace_id,
        name=name,
        opened=times[0],
        closed=times[1],
        reason=reason,
        spans=[SPAN.encode(record) for record in records[0]],
        logs=[LOG_RECORD.encode(record) for record in records[1]],
    )
    trace = Trace(
        flags=flags,
        traceId=trace_id,
        name=name,
        opened=times[0],
        closed=times[1],
        reason=REASONS[reason],
        spans=records[0],
        logs=records[1],
    )
    encoded = TRACE.encode(trace)
    assert decode(message).trace == decode(encoded).trace == trace
    # A reader that knows nothing of us, only Avro, sees the same.
    assert schemaless_reader(BytesIO(message[HEADER_BYTES:]), TRACE.schema, None) == trace


def test_a_broken_record_is_cut_out_and_its_neighbours_stay() -> None:
    good = [span_message(1, id=f"span {number}") for number in range(2)]
    short = span_message(1)[:-3]
    found = decode(spliced([good[0], short, good[1]], [log_message(1)]))
    assert [span["id"] for span in found.trace["spans"]] == ["span 0", "span 1"]
    assert len(found.trace["logs"]) == 1
    (bad,) = found.bad
    assert (bad.kind, bad.body) == ("span", short[HEADER_BYTES:])


def test_blocks_that_disagree_with_their_records_are_bad_even_where_both_end_in_the_same_place() -> None:
    one = span_message(1)[HEADER_BYTES:]
    # The opening of a block, where the trace id is, with the size of what follows it.
    other = one[:1] + b"\x01" + varint(len(one) - 4) + one[4:]
    blocks = b"\x01" + varint(len(one) + 1) + one + b"\x01" + b"\x01" + other
    empty = spliced([], [])
    message = empty[:-2] + blocks + empty[-2:]
    # Read in one go, whatever the sizes say, it holds two spans.
    read = cast("Trace", schemaless_reader(BytesIO(message[HEADER_BYTES:]), TRACE.schema, None))
    assert [SPAN.encode(span)[HEADER_BYTES:] for span in read["spans"]] == [one, other]
    found = decode(message)
    assert found.trace["spans"] == []
    assert [bad.body for bad in found.bad] == [one + b"\x01", b"", other[4:]]


def test_a_record_with_bytes_left_over_is_bad() -> None:
    found = decode(spliced([span_message(1) + b"\x00"], []))
    assert found.trace["spans"] == []
    assert len(found.bad) == 1


def test_log_lines_that_are_not_wanted_are_stepped_over_good_or_bad() -> None:
    message = spliced([span_message(1)], [log_message(1), log_message(1)[:-3]])
    assert len(decode(message).bad) == 1
    found = decode(message, logs=False)
    assert not found.bad
    assert found.trace == Trace(**(decode(message).trace | {"logs": []}))
    with pytest.raises(InvalidRecord):
        decode(message[:-5], logs=False)
    uncut = TRACE.encode(decode(message).trace)
    assert decode(uncut, logs=False).trace == found.trace


@pytest.mark.parametrize("cut", [1, 12, 30, 50])
def test_a_trace_that_is_cut_short_is_refused(cut: int) -> None:
    message = spliced([span_message(1)], [])
    with pytest.raises(InvalidRecord):
        decode(message[:-cut])


@given(st.binary(max_size=100))
def test_any_bytes_either_decode_or_are_refused(body: bytes) -> None:
    try:
        decode(TRACE.header + body)
    except InvalidRecord:
        return
