"""Trace ids of other systems, mapped to ours."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats.trace_ids import UNTRACED, read_span_id, read_trace_id
from tracelink.model.records import Flag, print_trace_id

LONG, SHORT, SPAN = "45e7c977bbbdeae5c8d57fca53057a57", "48485a3953bb6124", "63ad9ba29811519d"


@pytest.mark.parametrize(
    ("text", "trace_id", "span_id"),
    [
        (LONG, LONG, None),
        (LONG.upper(), LONG, None),
        (SHORT, SHORT, None),
        (f"0x{LONG}", LONG, None),
        (f"0X{SHORT}", SHORT, None),
        (str(uuid.UUID(LONG)), LONG, None),
        (f"{{{uuid.UUID(LONG)}}}", LONG, None),
        (f"00-{LONG}-{SPAN}-01", LONG, SPAN),
        (f"{LONG}-{SPAN}-1", LONG, SPAN),
        (f"{SHORT}-{SPAN}-d-{SHORT}", SHORT, SPAN),
        (f"{LONG}-{SPAN}", LONG, SPAN),
        (f"1-{LONG[:8]}-{LONG[8:]}", LONG, None),
        (f"Root=1-{LONG[:8]}-{LONG[8:]};Parent={SPAN};Sampled=1", LONG, SPAN),
        (f"Self=1-67891234-12456789abcdef012345678;Root=1-{LONG[:8]}-{LONG[8:]}", LONG, None),
        (f"projects/shop/traces/{LONG}", LONG, None),
        (f"{LONG}/7182530493021123997;o=1", LONG, f"{7182530493021123997:016x}"),
        (f"{LONG}:{SPAN}:0:1", LONG, SPAN),
        (f"{SHORT}:3ad9ba29811519d:0:1", SHORT, "03ad9ba29811519d"),
        (f"TID:{LONG}", LONG, None),
        (f"[TID: {LONG}]", LONG, None),
        ("48485a3953bb612", "048485a3953bb612", None),
        ("RefJd7u96uXI1X/KUwV6Vw==", LONG, None),
        (f"{LONG}%3A{SPAN}%3A0%3A1", LONG, SPAN),
        (f"[shop,shop@1,{LONG},56a5.7,-1]", LONG, None),
    ],
)
def test_one_id_in_another_spelling_is_the_same_id(text: str, trace_id: str, span_id: str | None) -> None:
    found = read_trace_id(text)
    assert found is not None
    assert (print_trace_id(found.value, found.flags), found.span_id) == (trace_id, span_id)
    assert bool(found.flags & Flag.SHORT_ID) is (len(trace_id) == 16)


@pytest.mark.parametrize(
    "text", ["", "0", "0" * 32, "TID:N/A", "TID: N/A", "N/A", "Ignored_Trace", f"00-{'0' * 32}-{SPAN}-00"]
)
def test_no_trace_in_any_spelling_is_no_trace(text: str) -> None:
    found = read_trace_id(text)
    assert found is not None
    assert found.value == UNTRACED.value


@pytest.mark.parametrize(
    "text",
    [
        "req-7f3a-checkout",
        "12691714017235838148",
        "6603237610001450838",
        "12345",
        "cafe",
        "0x7f3a52c0",
        "x" * 32,
        f"{LONG}0",
        "projects/p/traces/1",
        "45e7c977 bbbd eae5 c8d5 7fca53057",
        "\uff11" * 16,
    ],
)
def test_what_may_be_another_id_is_left_alone(text: str) -> None:
    assert read_trace_id(text) is None


@pytest.mark.parametrize(
    ("text", "trace_id"),
    [
        ("6603237610001450838", f"{6603237610001450838:016x}"),
        ("136226447259282480168556905957809988804", f"{136226447259282480168556905957809988804:032x}"),
        (LONG, LONG),
    ],
)
def test_datadogs_ids_are_decimals_unless_they_are_hex(text: str, trace_id: str) -> None:
    found = read_trace_id(text, decimal=True)
    assert found is not None
    assert print_trace_id(found.value, found.flags) == trace_id


@pytest.mark.parametrize("text", [str(1 << 128), "9" * 5000])
def test_a_decimal_of_more_than_128_bits_is_no_id(text: str) -> None:
    assert read_trace_id(text, decimal=True) is None


def test_skywalkings_text_is_the_same_id_wherever_it_is_read() -> None:
    text = "56a5f3c2d1e04b7f8a9b0c1d2e3f4a5b.12.16563474296430001"
    segment, line = read_trace_id(text), read_trace_id(f"TID:{text}")
    assert segment is not None
    assert segment == line
    assert segment.value not in (UNTRACED.value, read_trace_id(text[:-1] + "2"))
    assert not segment.flags


@pytest.mark.parametrize(
    ("text", "decimal", "span_id"),
    [
        (SPAN, False, SPAN),
        (SPAN.upper(), False, SPAN),
        (f"0x{SPAN}", False, SPAN),
        ("a", False, "000000000000000a"),
        ("Y62bopgRUZ0=", False, SPAN),
        ("4539578763621486", True, f"{4539578763621486:016x}"),
        ("0", True, ""),
        ("0" * 16, False, ""),
        ("", False, ""),
        ("6603237610001450838", False, None),
        (str(1 << 64), True, None),
        ("?", False, None),
        ("x" * 16, False, None),
    ],
)
def test_a_span_id_has_16_characters_or_is_none(text: str, decimal: bool, span_id: str | None) -> None:  # noqa: FBT001 - a table's column
    assert read_span_id(text, decimal=decimal) == span_id


@given(
    st.binary(min_size=16, max_size=16).filter(any),
    st.sampled_from(["{}", "0x{}", "TID: {}", "00-{}-00000000000000ab-01"]),
)
def test_an_id_is_read_back_from_any_spelling(trace_id: bytes, spelling: str) -> None:
    found = read_trace_id(spelling.format(trace_id.hex()))
    assert found is not None
    assert found.value == trace_id


@given(st.integers(1, (1 << 64) - 1))
def test_a_decimal_is_read_back(number: int) -> None:
    found = read_trace_id(str(number), decimal=True)
    assert found is not None
    assert int.from_bytes(found.value) == number


@given(st.text() | st.from_regex(r"[0-9a-fA-FxX:/;=. -]{0,70}", fullmatch=True), st.booleans())
def test_any_text_is_an_id_of_16_bytes_or_none(text: str, decimal: bool) -> None:  # noqa: FBT001 - drawn
    found = read_trace_id(text, decimal=decimal)
    assert found is None or len(found.value) == 16
    span_id = read_span_id(text, decimal=decimal)
    assert span_id in {None, ""} or (len(span_id or "") == 16 and bytes.fromhex(span_id or ""))
