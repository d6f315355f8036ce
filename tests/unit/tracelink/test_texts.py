"""Any value as text: none raises, none is lost."""

import enum
import json as stdlib_json
import math
from collections import UserDict, deque, namedtuple
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelink.texts import MOST_APOSTROPHES, free_name, json, text


class NoRepr:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class NoStr(Exception):
    def __str__(self) -> str:
        raise KeyError("no str")


class NotText:
    def __str__(self) -> str:
        return 7  # type: ignore[return-value]  # noqa: PLE0307 - what a broken class does


class Shouting(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("no str")


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@dataclass
class Card:
    owner: str
    seen: object = None


Point = namedtuple("Point", "x y")  # noqa: PYI024 - a class of the standard library that services log


def cyclic_list() -> list[object]:
    found: list[object] = [1]
    found.append(found)
    return found


def cyclic_dict() -> dict[str, object]:
    found: dict[str, object] = {"a": 1}
    found["me"] = [found]
    return found


def deep(levels: int) -> list[Any]:
    found: list[Any] = ["bottom"]
    for _ in range(levels):
        found = [found]
    return found


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "plain"),
        ("Zürich \u2028", "Zürich \u2028"),
        ("half \ud83d of a pair", "half ? of a pair"),
        (Shouting("kept"), "kept"),
        (Shouting("bad \udc00"), "bad ?"),
        ("", ""),
        (None, "null"),
        (True, "true"),
        (7, "7"),
        (Level.HIGH, "3"),
        (2**64, "18446744073709551616"),
        (-(10**30), "-1000000000000000000000000000000"),
        (1.5, "1.5"),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (b"text/html; charset=utf-8", "text/html; charset=utf-8"),
        ("Zürich".encode(), "Zürich"),
        (b"two\r\nlines", "two\r\nlines"),
        (b"\xff\x00", "ff00"),
        (b"\x00\x01", "0001"),
        (b"", ""),
        (bytearray(b"abc"), "abc"),
        (memoryview(b"\xfe"), "fe"),
        ([1, "a", None], '[1,"a",null]'),
        ((1, [math.nan, math.inf]), '[1,["NaN","Infinity"]]'),
        ({"a": b"\xff", "b": b"text"}, '{"a":"ff","b":"text"}'),
        ({"a": 2**70, "n": None}, '{"a":1180591620717411303424,"n":null}'),
        ({"\ud800": "\udfff"}, '{"?":"?"}'),
        ({1: "a", "1": "b"}, '{"1":"a","1":"b"}'),
        ({(1, 2): "pair", b"k": "bytes", None: "none"}, '{"[1,2]":"pair","k":"bytes","null":"none"}'),
        ({"a": NoRepr()}, '{"a":"<NoRepr: cannot be printed (RuntimeError)>"}'),
        ({"a": NoRepr(), "b": {"c": [2]}}, '{"a":"<NoRepr: cannot be printed (RuntimeError)>","b":{"c":[2]}}'),
        (NoRepr(), "<NoRepr: cannot be printed (RuntimeError)>"),
        (NotText(), "<NotText: cannot be printed (TypeError)>"),
        (ValueError("no stock"), "ValueError('no stock')"),
        (KeyError(), "KeyError()"),
        ({"error": OSError(2, "gone")}, '{"error":"FileNotFoundError(2, \'gone\')"}'),
        (frozenset({"one"}), '["one"]'),
        (deque([1, 2]), "[1,2]"),
        (UserDict({"a": 1}), '{"a":1}'),
        ({"a": UserDict({"b": deque([1])})}, '{"a":{"b":[1]}}'),
        (Point(1, 2), "[1,2]"),
        (Card("ann"), '{"owner":"ann","seen":null}'),
        (Card("ann", NoRepr()), '{"owner":"ann","seen":"<NoRepr: cannot be printed (RuntimeError)>"}'),
        (Card, "<class 'tests.unit.tracelink.test_texts.Card'>"),
        (range(10**12), "range(0, 1000000000000)"),
        (Decimal("0.10"), "0.10"),
        (Fraction(1, 3), "1/3"),
        (PurePosixPath("/a"), "/a"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        ({"at": datetime(2026, 1, 2, tzinfo=UTC), "c": Colour.RED}, '{"at":"2026-01-02T00:00:00+00:00","c":"red"}'),
        ({"c": Colour.RED, "n": math.nan}, '{"c":"red","n":"NaN"}'),
        (cyclic_list(), '[1,"<cycle>"]'),
        (cyclic_dict(), '{"a":1,"me":["<cycle>"]}'),
    ],
)
def test_a_value_is_readable_text(value: object, shown: str) -> None:
    assert text(value) == shown


def test_a_number_beyond_what_python_prints_is_hex() -> None:
    huge = 10**5000
    assert text(huge) == f"{huge:#x}"
    assert text({"n": huge}) == f'{{"n":"{huge:#x}"}}'


def test_a_value_that_occurs_twice_is_no_cycle() -> None:
    inner = [2**70]
    assert text([inner, inner]) == f"[[{2**70}],[{2**70}]]"


@pytest.mark.parametrize("levels", [40, 200, 300, 100_000])
def test_a_deep_structure_is_text(levels: int) -> None:
    shown = text(deep(levels))
    assert shown.startswith("[[[")
    if levels < 1000:  # deeper ones have no text even in Python
        assert "bottom" in shown


def test_an_iterator_keeps_its_items() -> None:
    items = iter([1, 2])
    assert text(items).startswith("<list_iterator object")
    assert text({"rows": items}).startswith('{"rows":"<list_iterator object')
    assert list(items) == [1, 2]


def test_a_memoryview_that_was_released_is_text() -> None:
    view = memoryview(b"a")
    view.release()
    assert "memory" in text(view)


def test_an_exception_that_cannot_be_printed_has_its_arguments() -> None:
    assert text(NoStr("lost")) == "NoStr('lost')"


ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.builds(NoRepr),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.none() | st.integers() | st.text(st.characters(), max_size=3) | st.binary(max_size=2), inner
        )
    ),
    max_leaves=12,
)


@given(ANY)
def test_whatever_a_value_is_its_text_can_be_encoded_and_its_json_read(value: object) -> None:
    text(value).encode()
    stdlib_json.loads(json(value), parse_constant=pytest.fail)


@given(
    st.recursive(
        st.integers() | st.text() | st.booleans(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_says_the_value(value: object) -> None:
    assert stdlib_json.loads(json(value)) == value


@given(st.binary() | st.text().map(str.encode))
def test_bytes_are_their_text_or_their_hex(value: bytes) -> None:
    assert text(value) in {value.decode(errors="replace"), value.hex()}


@given(st.lists(st.integers(-(2**63), 2**63) | st.text() | st.none()))
def test_both_ways_to_json_agree(value: list[object]) -> None:
    assert json([*value, math.nan]) == orjson.dumps([*value, "NaN"]).decode()


def test_a_name_that_is_taken_gets_apostrophes_and_after_eight_of_them_a_number() -> None:
    taken: list[str] = []
    for _ in range(MOST_APOSTROPHES + 5):
        taken.append(free_name(taken, "a"))
    quoted = ["a" + "'" * number for number in range(MOST_APOSTROPHES + 1)]
    assert taken == [*quoted, *(f"{quoted[-1]}{number}" for number in range(2, 6))]


class Counted(dict[str, None]):
    """Names that count how often they are asked for."""

    asked = 0

    def __contains__(self, name: object) -> bool:
        self.asked += 1
        return super().__contains__(name)


def test_thousands_of_equal_names_stay_short_and_take_few_steps() -> None:
    taken = Counted()
    for _ in range(2_000):
        taken[free_name(taken, "a")] = None
    assert len(taken) == 2_000
    assert max(map(len, taken)) < 20
    assert taken.asked < 2_000 * 40


@given(st.sets(st.from_regex(r"a'{0,9}[0-9]{0,2}", fullmatch=True)))
def test_a_free_name_is_never_taken(taken: set[str]) -> None:
    assert free_name(taken, "a") not in taken
