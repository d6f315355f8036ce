"""Values as text: nothing that a screen does not print, nothing that turns the direction of writing."""

from math import inf
from unicodedata import bidirectional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.page import shown
from tests.kit.sink_examples import START

ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=50)
"""Lone surrogates, too."""
TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@given(ANY_TEXT)
def test_a_text_is_printable_apart_from_lines_and_tabs(given: str) -> None:
    said = shown.text(given)
    assert said.replace("\n", "").replace("\t", "").isprintable()
    assert not {bidirectional(char) for char in said} & TURNS
    assert said.encode().decode() == said
    if given.isprintable():
        assert said == given


@given(ANY_TEXT)
def test_a_name_is_one_printable_line(given: str) -> None:
    said = shown.name(given)
    assert said.isprintable()
    assert "  " not in said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\u202eb\u2066c", "a\\u202eb\\u2066c"),
        ("a\x00b\x9bc\x7f", "a\\x00b\\x9bc\\x7f"),
        ("a\r\nb\tc", "a \nb\tc"),
        ("a\u2028b\u00a0c", "a b c"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("naïve 日本 😀 עברית", "naïve 日本 😀 עברית"),
        ("", ""),
        (None, "None"),
        (7, "7"),
    ],
)
def test_what_a_screen_does_not_print_is_escaped(given: object, said: str) -> None:
    assert shown.text(given) == said


def test_a_long_text_is_cut_and_says_how_long_it_is() -> None:
    assert shown.text("x" * shown.LONGEST) == "x" * shown.LONGEST
    assert shown.text("x" * 1_000_000) == "x" * shown.LONGEST + "… (1,000,000 characters)"
    assert shown.text("abcdef", 3) == "abc… (6 characters)"
    assert len(shown.name("x" * 1_000_000)) < 300


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (0, "0 µs"),
        (999, "999 µs"),
        (1_500, "1.5 ms"),
        (99_940, "99.9 ms"),
        (100_000, "100 ms"),
        (999_400, "999 ms"),
        (1_000_000, "1.00 s"),
        (3_600_000_000, "3,600.00 s"),
    ],
)
def test_a_duration_has_a_fitting_unit(given: int, said: str) -> None:
    assert shown.took(given) == said


def test_a_time_is_utc_and_one_that_is_none_says_so() -> None:
    assert shown.instant(START + 1_999) == "2026-01-01 00:00:00.001 UTC"
    assert [shown.instant(given) for given in (0, -1, inf)] == ["no time"] * 3
    assert shown.instant(2.0**70) == "2100-01-01 00:00:00.000 UTC"
    assert shown.since(START / 1000) == "2026-01-01 00:00:00 UTC"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "now"), (0.9, "now"), (1, "1 s ago"), (61, "1 min ago"), (7_200, "2 h ago"), (200_000, "2 d ago")],
)
def test_an_age_has_one_unit(seconds: float, said: str) -> None:
    assert shown.ago(1_000, 1_000 + seconds * 1000) == said


def test_a_service_has_the_same_colour_everywhere() -> None:
    colours = {shown.colour(f"service-{number}") for number in range(500)}
    assert colours == set(range(12))
    assert shown.colour("cart") == shown.colour("cart")
    assert shown.colour(None) == shown.colour("")
    assert shown.colour("\ud800") in colours
