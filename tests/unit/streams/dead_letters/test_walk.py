"""Walking over Avro: everything that is sound is read as the codec reads it, and what is not is told with its byte."""

import struct
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.model.splice import decode, splice
from streams.dead_letters.walk import Fault, Leaf, Path, walk
from tests.kit.records import log_message, span_message, trace_id
from tests.kit.strategies import TRACE_IDS, logs, spans
from tracelink.errors import InvalidRecord
from tracelink.model.avro import varint
from tracelink.model.codec import HEADER_BYTES, LOG_RECORD, SPAN, TRACE, Codec


def flat(value: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    """Yield the leaves of a decoded record."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from flat(inner, (*path, name))
    elif isinstance(value, list) and value:
        for number, inner in enumerate(value):
            yield from flat(inner, (*path, number))
    else:
        yield path, value


def trace_message(spans: list[bytes], logs: list[bytes]) -> bytes:
    return splice(
        flags=0, trace_id=trace_id(1), name="s0-0", opened=1, closed=2, reason=0, spans=spans, logs=logs
    )  # fmt: skip


MESSAGES = st.one_of(
    st.tuples(st.just(SPAN), spans().map(SPAN.encode)),
    st.tuples(st.just(LOG_RECORD), logs().map(LOG_RECORD.encode)),
    st.tuples(
        st.just(TRACE),
        st.builds(
            trace_message,
            st.lists(spans(TRACE_IDS).map(SPAN.encode), max_size=3),
            st.lists(logs(TRACE_IDS).map(LOG_RECORD.encode), max_size=3),
        ),
    ),
)


def walked(codec: Codec[Any], message: bytes) -> tuple[list[Leaf], list[Fault]]:
    found = list(walk(codec.schema, message, HEADER_BYTES))
    return [one for one in found if isinstance(one, Leaf)], [one for one in found if isinstance(one, Fault)]


@given(MESSAGES)
def test_every_sound_message_walks_to_its_end_and_reads_as_the_codec_reads_it(
    message: tuple[Codec[Any], bytes],
) -> None:
    leaves, faults = walked(*message)
    assert faults == []
    assert [(leaf.path, leaf.value) for leaf in leaves] == list(flat(message[0].decode(message[1])))
    assert all(one.end <= two.start for one, two in pairwise(leaves))


@given(MESSAGES, st.data())
def test_a_message_that_is_cut_off_is_told_with_a_byte_of_it(
    message: tuple[Codec[Any], bytes], data: st.DataObject
) -> None:
    codec, whole = message
    size = data.draw(st.integers(HEADER_BYTES, len(whole) - 1))
    _, faults = walked(codec, whole[:size])
    assert faults
    assert all(HEADER_BYTES <= fault.at <= size for fault in faults)


@given(MESSAGES, st.data())
def test_a_flipped_byte_is_told_or_the_message_still_decodes(
    message: tuple[Codec[Any], bytes], data: st.DataObject
) -> None:
    codec, whole = message
    at = data.draw(st.integers(HEADER_BYTES, len(whole) - 1))
    flipped = bytearray(whole)
    flipped[at] ^= data.draw(st.integers(1, 255))
    leaves, faults = walked(codec, bytes(flipped))
    if faults:
        assert all(HEADER_BYTES <= fault.at <= len(whole) for fault in faults)
    else:
        assert dict(flat(codec.decode(bytes(flipped)))) == {leaf.path: leaf.value for leaf in leaves}


@given(st.lists(st.tuples(spans().map(SPAN.encode), st.binary(max_size=3)), min_size=1, max_size=4))
@example([(span_message(1), b"\xff")])
def test_records_of_a_trace_are_bad_to_it_where_they_are_bad_to_the_sinks(cases: list[tuple[bytes, bytes]]) -> None:
    # Some records have bytes too many, which their blocks hold.
    message = trace_message([body + more for body, more in cases], [])
    _, faults = walked(TRACE, message)
    bad = [number for number, (_, more) in enumerate(cases) if more]
    assert [fault.path[:2] for fault in faults] == [("spans", number) for number in bad]
    assert len(decode(message).bad) == len(bad)


def test_after_a_bad_record_of_a_trace_the_others_are_read() -> None:
    broken = bytearray(span_message(2, tags={"a": "b"}))
    at = bytes(broken).index(b"\x02a\x02b")
    broken[at + 3] = 0xFF
    message = trace_message([span_message(1), bytes(broken), span_message(3)], [log_message(4)])
    leaves, (fault,) = walked(TRACE, message)
    assert (fault.path, fault.why) == (("spans", 1, "tags", "a"), "no UTF-8: invalid start byte")
    assert message[fault.at] == 0xFF
    assert {leaf.path[:2] for leaf in leaves} >= {("spans", 0), ("spans", 1), ("spans", 2), ("logs", 0)}


RECORD = {"type": "record", "name": "R", "fields": []}


def record(*types: object) -> dict[str, object]:
    return RECORD | {"fields": [{"name": f"f{number}", "type": one} for number, one in enumerate(types)]}


@pytest.mark.parametrize(
    ("schema", "data", "at", "why"),
    [
        (record("int"), b"", 0, "it ends where a number should be"),
        (record("int"), b"\x80", 1, "it ends in a number"),
        (record("int"), varint(2**31), 0, "the number does not fit into 32 bits"),
        (record("long"), b"\xff" * 9 + b"\x02", 0, "the number does not fit into 64 bits"),
        (record("long"), b"\xff" * 10 + b"\x01", 0, "a number of more than 10 bytes"),
        (record("boolean"), b"\x02", 0, "a boolean is 0 or 1, not 2"),
        (record("boolean", "boolean"), b"\x01", 1, "1 byte announced, 0 left"),
        (record("double"), b"1234567", 0, "8 bytes announced, 7 left"),
        (record("string"), b"\x03ab", 0, "a length of -2"),
        (record("string"), varint(2**40) + b"ab", 0, "1099511627776 bytes announced, 2 left"),
        (record("string"), b"\x04a\xff", 2, "no UTF-8: invalid start byte"),
        (record("bytes"), b"\x08a", 0, "4 bytes announced, 1 left"),
        (record({"type": "fixed", "name": "F", "size": 3}), b"ab", 0, "3 bytes announced, 2 left"),
        (record({"type": "enum", "name": "E", "symbols": ["A", "B"]}), b"\x04", 0, "symbol 2 of 2, which begin at 0"),
        (record(["null", "int"]), b"\x01", 0, "branch -1 of 2, which begin at 0"),
        (record({"type": "array", "items": "int"}), b"\x08\x02", 1, "4 items announced, 1 byte left"),
        (record({"type": "array", "items": "int"}), b"\x01\x08\x02", 1, "4 bytes announced, 1 left"),
        (record({"type": "array", "items": "int"}), b"\x01\x03\x02", 1, "a length of -2"),
        (record({"type": "array", "items": "int"}), b"\x01\x04\x02\x02\x00", 3, "1 byte left over in a block of 2"),
        (record({"type": "map", "values": "int"}), b"\x02\x02\xff\x02\x00", 2, "no UTF-8: invalid start byte"),
        (record("null"), b"ab", 0, "2 bytes left over after the record"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_byte(schema: object, data: bytes, at: int, why: str) -> None:
    (fault,) = [found for found in walk(schema, data) if isinstance(found, Fault)]
    assert (fault.at, fault.why) == (at, why)


def test_all_types_are_read_with_their_places_in_blocks_of_both_kinds() -> None:
    fixed = {"type": "fixed", "name": "n.F", "size": 2}
    schema = record(
        fixed, "n.F", {"type": "map", "values": "long"}, {"type": "array", "items": ["null", "bytes"]}, "float", "null"
    )
    blocks = b"\x01\x06\x02a\x05" + b"\x02\x02b\x06" + b"\x00"
    data = b"xyzw" + blocks + b"\x04\x00\x02\x02!\x00" + struct.pack("<f", 1.5)
    assert list(walk(schema, data)) == [
        Leaf(("f0",), 0, 2, b"xy"),
        Leaf(("f1",), 2, 4, b"zw"),
        Leaf(("f2", "a"), 8, 9, -3),
        Leaf(("f2", "b"), 12, 13, 3),
        Leaf(("f3", 0), 16, 16, None),
        Leaf(("f3", 1), 17, 19, b"!"),
        Leaf(("f4",), 20, 24, 1.5),
        Leaf(("f5",), 24, 24, None),
    ]


def test_what_the_codec_leaves_out_is_left_out_by_the_walk_too() -> None:
    with pytest.raises(InvalidRecord):
        SPAN.decode(span_message(1) + b"?")
    _, (fault,) = walked(SPAN, span_message(1) + b"?")
    assert fault.why == "1 byte left over after the record"
