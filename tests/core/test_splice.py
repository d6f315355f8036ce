"""A trace made of its records' bytes."""

from io import BytesIO

import pytest
from fastavro import schemaless_reader
from hypothesis import given
from hypothesis import strategies as st

from tests.core.strategies import LONGS, TRACE_IDS, logs, spans
from tests.kit.records import log_message, span_message, trace_id
from tracelink.codec import HEADER_BYTES, LOG_RECORD, SPAN, TRACE
from tracelink.errors import InvalidRecord
from tracelink.records import LogRecord, Span, Trace
from tracelink.splice import REASONS, block, decode, splice, varint


def pieces(bodies: list[bytes]) -> list[bytes]:
    return [piece for body in bodies for piece in (block(len(body)), body)]


def spliced(span_bodies: list[bytes], log_bodies: list[bytes]) -> bytes:
    return splice(
        flags=2,
        trace_id=trace_id(1),
        name="s0-0",
        opened=1,
        closed=2,
        reason=0,
        spans=pieces(span_bodies),
        logs=pieces(log_bodies),
    )


@given(
    trace_id=TRACE_IDS,
    times=st.tuples(LONGS, LONGS),
    name=st.text(max_size=20),
    flags=st.integers(0, 7),
    reason=st.integers(0, len(REASONS) - 1),
    records=TRACE_IDS.flatmap(lambda one: st.tuples(st.lists(spans(st.just(one))), st.lists(logs(st.just(one))))),
)
def test_a_spliced_trace_equals_one_that_is_decoded_and_encoded(  # noqa: PLR0913, PLR0917 - the fields of a trace
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
        spans=pieces([SPAN.encode(record)[HEADER_BYTES:] for record in records[0]]),
        logs=pieces([LOG_RECORD.encode(record)[HEADER_BYTES:] for record in records[1]]),
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
    good = [span_message(1, id=f"span {number}")[HEADER_BYTES:] for number in range(2)]
    short = span_message(1)[HEADER_BYTES:-3]
    log = log_message(1)[HEADER_BYTES:]
    found = decode(spliced([good[0], short, good[1]], [log]))
    assert [span["id"] for span in found.trace["spans"]] == ["span 0", "span 1"]
    assert len(found.trace["logs"]) == 1
    (bad,) = found.bad
    assert (bad.kind, bad.body) == ("span", short)


def test_a_record_with_bytes_left_over_is_bad() -> None:
    found = decode(spliced([span_message(1)[HEADER_BYTES:] + b"\x00"], []))
    assert found.trace["spans"] == []
    assert len(found.bad) == 1


@pytest.mark.parametrize("cut", [1, 12, 30, 50])
def test_a_trace_that_is_cut_short_is_refused(cut: int) -> None:
    message = spliced([span_message(1)[HEADER_BYTES:]], [])
    with pytest.raises(InvalidRecord):
        decode(message[:-cut])


@given(st.binary(max_size=100))
def test_any_bytes_either_decode_or_are_refused(body: bytes) -> None:
    try:
        decode(TRACE.header + body)
    except InvalidRecord:
        return


@given(LONGS)
def test_numbers_are_written_as_avro_writes_them(value: int) -> None:
    assert schemaless_reader(BytesIO(varint(value)), "long", None) == value
