"""JSON as loggers write it."""

import json
import tracemalloc

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats.invalid_input import InvalidInput, kept, shown
from pipeline.formats.json_values import load_json, load_several


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'{"a":1}', {"a": 1}),
        (b'{"a":1,"a":2}', {"a": 1, "a'": 2}),
        (b'{"a":1,"a":1}', {"a": 1}),
        (b'{"x":{"a":1,"a":2},"y":[{"b":1,"b":null}]}', {"x": {"a": 1, "a'": 2}, "y": [{"b": 1, "b'": None}]}),
        (b'{"a" : 1, "a" : 2}', {"a": 1, "a'": 2}),
        (b'{"n":136226447259282480168556905957809988804}', {"n": 136226447259282480168556905957809988804}),
        (b'{"n":-9223372036854775809}', {"n": -9223372036854775809}),
        (b'{"n":NaN,"m":-Infinity,"o":1e999}', {"n": "NaN", "m": "-Infinity", "o": "inf"}),
        (b'{"s":"\\ud800x"}', {"s": "\ufffdx"}),
        (b'{"s":"\\ud83d\\ude00"}', {"s": "\U0001f600"}),
        (b'{"\\ud800":1,"\\ud801":2}', {"\ufffd": 1, "\ufffd'": 2}),
        (b'{"s":"caf\xe9"}', {"s": "caf\ufffd"}),
        (b'\xef\xbb\xbf{"a":1}', {"a": 1}),
        (b'{"s":"a\tb"}', {"s": "a\tb"}),
        (b'{"s":"\\":\\":"}', {"s": '":":'}),
    ],
)
def test_nothing_that_json_says_is_lost(text: bytes, value: object) -> None:
    assert load_json(text) == value


def test_json_that_is_nearly_right_takes_no_more_memory_than_its_values() -> None:
    text = b"[NaN" + b",[],{}" * 10_000 + b"]"
    tracemalloc.start()
    try:
        value = load_json(text)
        left, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(value) == 20_001
    assert peak < 1.2 * left


@pytest.mark.parametrize(
    "text", [b"", b"{", b"{'a': 1}", b'{"a":1}{"b":2}', b"[" * 100_000, b'{"a":' * 5000, b"[" * 1000 + b"]" * 1000]
)
def test_a_text_that_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        load_json(text)
    assert refused.value.reason == "no JSON"


def test_a_value_that_is_nested_too_deeply_has_a_short_form() -> None:
    assert shown(orjson.loads(b"[" * 1000 + b"]" * 1000)) == "a list that is nested too deeply"


def test_thousands_of_equal_names_in_an_object_are_all_kept_under_short_names() -> None:
    found = load_json(b"{" + b",".join([b'"a":%d' % number for number in range(1_000)]) + b"}")
    assert sorted(found.values()) == list(range(1_000))
    assert max(map(len, found)) < 20


def test_a_number_of_thousands_of_digits_keeps_them() -> None:
    assert load_json(b'{"n":' + b"7" * 5000 + b"}") == {"n": "7" * 5000}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (b'{"a":1}{"b":2}', [{"a": 1}, {"b": 2}]),
        (b'{"a":1}, {"b":2},\n', [{"a": 1}, {"b": 2}]),
        (b'{"a":1} x', None),
        (b"x", None),
        (b"", []),
    ],
)
def test_several_values_of_a_line_are_told_apart(text: bytes, values: list[object] | None) -> None:
    assert load_several(text) == values


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, st.booleans())
def test_any_value_is_read_as_it_was_written(value: object, spaced: bool) -> None:  # noqa: FBT001 - drawn
    text = json.dumps(value, separators=None if spaced else (",", ":"))
    assert load_json(text.encode()) == value
    assert json.loads(kept(value)) == value if not isinstance(value, str) else kept(value) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_that_can_be_written_or_refused(text: bytes) -> None:
    try:
        value = load_json(text)
    except InvalidInput:
        return
    assert kept(value).encode()


@given(st.dictionaries(st.text(max_size=4), st.integers(0, 9), max_size=5))
def test_the_fast_decoder_and_the_lenient_one_agree(value: dict[str, int]) -> None:
    text = orjson.dumps(value)
    assert load_json(text) == load_several(text)[0]  # type: ignore[index]  # it is one value
