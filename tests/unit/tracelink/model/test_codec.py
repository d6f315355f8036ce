"""Records to bytes and back."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kit.records import span, span_message
from tests.kit.strategies import logs, spans
from tracelink.errors import InvalidRecord, Reason
from tracelink.model.codec import HEADER_BYTES, LOG_RECORD, SPAN, TRACE, Codec, frame
from tracelink.model.records import LogRecord, Span


@given(spans())
def test_a_span_comes_back_as_it_went(record: Span) -> None:
    assert SPAN.decode(SPAN.encode(record)) == record


@given(logs())
def test_a_log_record_comes_back_as_it_went(record: LogRecord) -> None:
    assert LOG_RECORD.decode(LOG_RECORD.encode(record)) == record


@given(spans())
def test_flags_and_trace_id_lie_at_a_fixed_place(record: Span) -> None:
    message = SPAN.encode(record)
    assert message[HEADER_BYTES] == record["flags"] << 1
    assert message[HEADER_BYTES + 1 : HEADER_BYTES + 17] == record["traceId"]


def test_a_frame_is_the_magic_and_the_fingerprint_with_its_lowest_byte_first() -> None:
    # The fingerprint that the Avro specification's own test data gives for the schema "int".
    assert frame("int") == b"\xc3\x01" + 0x7275D51A3F395C8F.to_bytes(8, "little")  # type: ignore[arg-type]  # a schema too


def test_each_kind_of_record_has_a_frame_of_its_own() -> None:
    assert len({SPAN.header, LOG_RECORD.header, TRACE.header}) == 3


def _without(schema: dict[str, Any], *names: str) -> dict[str, Any]:
    older = copy.deepcopy(schema)
    older["fields"] = [field for field in older["fields"] if field["name"] not in names]
    return older


def test_a_message_under_an_older_schema_is_resolved() -> None:
    old_schema = _without(SPAN.schema, "debug", "shared")
    record = span(1, name="checkout")
    message = Codec[Span](old_schema).encode(record)
    codec = Codec[Span](SPAN.schema, older=(old_schema,))
    assert codec.decode(message) == record
    assert codec.current(message) == SPAN.encode(record)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"", Reason.FRAME),
        (b"{}", Reason.FRAME),
        (b"\xc3\x01" + bytes(8), Reason.SCHEMA),
        (SPAN.header, Reason.BODY),
        (span_message(1)[:-1], Reason.BODY),
        (span_message(1) + b"\x00", Reason.BODY),
        (span_message(1, name="\u00e9").replace(b"\xc3\xa9", b"\xff\xff"), Reason.BODY),
    ],
)
def test_what_is_no_record_is_refused_with_its_reason(message: bytes, reason: Reason) -> None:
    with pytest.raises(InvalidRecord) as refused:
        SPAN.decode(message)
    assert refused.value.reason == reason


@given(st.binary(max_size=200))
def test_any_bytes_either_decode_or_are_refused(body: bytes) -> None:
    try:
        record = SPAN.decode(SPAN.header + body)
    except InvalidRecord:
        return
    assert SPAN.decode(SPAN.encode(record)) == record
