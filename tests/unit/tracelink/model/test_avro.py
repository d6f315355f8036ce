"""Numbers and texts as Avro's readers take them."""

from io import BytesIO

from fastavro import schemaless_reader
from hypothesis import given
from hypothesis import strategies as st

from tests.kit.strategies import LONGS
from tracelink.model.avro import _NAMES, LENGTHS, map_block, string, varint


@given(LONGS)
def test_numbers_are_written_as_avro_writes_them(value: int) -> None:
    assert schemaless_reader(BytesIO(varint(value)), "long", None) == value


@given(st.integers(0, 2**40))
def test_a_length_is_a_number(length: int) -> None:
    assert LENGTHS[length] == LENGTHS[length] == varint(length)


@given(st.text())
def test_texts_are_written_as_avro_writes_them(value: str) -> None:
    assert schemaless_reader(BytesIO(string(value)), "string", None) == value


@given(st.dictionaries(st.text(), st.text(), min_size=1))
def test_a_block_of_a_map_is_written_as_avro_writes_it(found: dict[str, str]) -> None:
    message = map_block(len(found), found.items()) + b"\x00"
    assert schemaless_reader(BytesIO(message), {"type": "map", "values": "string"}, None) == found


def test_many_or_long_names_do_not_fill_the_memory() -> None:
    for number in range(5000):
        map_block(2, [(str(number), "x"), (str(number) * 1000, "x")])
    assert len(_NAMES) <= 4096
    assert max(map(len, _NAMES)) <= 256
