"""Names that come again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats.field_names import as_map

A8 = "a" + "'" * 8


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a", "b"], ["a", "b"]),
        (["a", "b", "a", "a"], ["a", "b", "a'", "a''"]),
        (["a", "a'", "a"], ["a", "a'", "a''"]),
        (["a", "a", "a'"], ["a", "a'", "a''"]),
        (["a"] * 11, [*("a" + "'" * number for number in range(9)), f"{A8}9", f"{A8}10"]),
    ],
)
def test_a_name_that_comes_again_gets_an_apostrophe_and_later_a_number(names: list[str], expected: list[str]) -> None:
    assert list(as_map([(name, 0) for name in names])) == expected


@given(st.lists(st.sampled_from(["", "a", "a'", A8, f"{A8}9", f"{A8}92", "b"]), max_size=60))
def test_every_value_is_in_the_map(names: list[str]) -> None:
    found = as_map([(name, number) for number, name in enumerate(names)])
    assert list(found.values()) == list(range(len(names)))
    for name, number in found.items():
        assert name.startswith(names[number])
