"""Numbers and texts as Avro's readers take them."""

from io import BytesIO

from fastavro import schemaless_reader
from hypothesis import given
from hypothesis import strategies as st

from tests.kit.strategies import LONGS
from tracelink.model.avro import LENGTHS, string, varint


@given(LONGS)
def test_numbers_are_written_as_avro_writes_them(value: int) -> None:
    assert schemaless_reader(BytesIO(varint(value)), "long", None) == value


@given(st.integers(0, 2**40))
def test_a_length_is_a_number(length: int) -> None:
    assert LENGTHS[length] == LENGTHS[length] == varint(length)


@given(st.text())
def test_texts_are_written_as_avro_writes_them(value: str) -> None:
    assert schemaless_reader(BytesIO(string(value)), "string", None) == value
