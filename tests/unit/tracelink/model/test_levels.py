"""Levels in one vocabulary, however a logger spells them."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelink.model.levels import ERROR_LEVELS, LEVELS, known_level, level_of_severity, shown_level
from tracelink.model.records import ErrorRule


@pytest.mark.parametrize(
    ("word", "level"),
    [
        ("warn", "WARN"),
        ("Warning", "WARNING"),
        ("wrn", "WARN"),
        ("Information", "INFO"),
        ("err", "ERROR"),
        ("ERROR ", "ERROR"),
        ("[error]", "ERROR"),
        ("error:", "ERROR"),
        ("\x1b[31merror\x1b[39m", "ERROR"),
        ("\x1b[1;33m WARN \x1b[0m", "WARN"),
        ("ERROR+4", "ERROR"),
        ("WARN+1", "WARN"),
        ("INFO-2", "INFO"),
        ("DEBUG-4", "TRACE"),
        ("dpanic", "PANIC"),
        ("E", "ERROR"),
        ("I", "INFO"),
        ("D2", "DEBUG"),
        ("FTL", "FATAL"),
        ("fail", "ERROR"),
        ("Verbose", "TRACE"),
        ("SCHWERWIEGEND", "SEVERE"),
        ("GRAVE", "SEVERE"),
        ("AVERTISSEMENT", "WARNING"),
        ("重大", "SEVERE"),
        ("SEVERE", "SEVERE"),
        ("emerg", "EMERGENCY"),
        ("LOG", "INFO"),
        ("Level.SEVERE", "SEVERE"),
        ("logging.ERROR", "ERROR"),
        ("ERROR(3)", "ERROR"),
        ("\u274c ERROR", "ERROR"),
    ],
)
def test_a_level_has_one_word_however_it_is_spelled(word: str, level: str) -> None:
    assert known_level(word) == level


@pytest.mark.parametrize("word", ["", " ", "audit", "errors", "info info", "ERROR+x", "x" * 1000, "12"])
def test_a_word_that_is_no_level_is_none(word: str) -> None:
    assert known_level(word) is None


@pytest.mark.parametrize(("word", "shown"), [("audit", "AUDIT"), ("\x1b[31maudit\x1b[0m ", "AUDIT"), ("warn", "WARN")])
def test_an_unknown_word_is_shown_plain(word: str, shown: str) -> None:
    assert shown_level(word) == shown


@given(
    st.sampled_from(LEVELS),
    st.sampled_from(["{}", " {}", "{}  ", "[{}]", "{}:", "\x1b[35m{}\x1b[0m", "<{}>"]),
    st.sampled_from([str.lower, str.upper, str.title]),
)
def test_a_level_of_the_vocabulary_is_itself_in_any_dress(level: str, dress: str, case: object) -> None:
    assert known_level(dress.format(case(level))) == level  # type: ignore[operator]  # str's methods


@given(st.text())
def test_any_text_is_a_level_of_the_vocabulary_or_none(word: str) -> None:
    assert known_level(word) in {None, *LEVELS}


@pytest.mark.parametrize("level", LEVELS)
def test_error_and_all_above_it_are_errored(level: str) -> None:
    assert ErrorRule().log(level) is (level in ERROR_LEVELS) is (LEVELS.index(level) >= LEVELS.index("ERROR"))


def test_the_rule_takes_a_level_in_any_spelling() -> None:
    assert [ErrorRule().log(word) for word in ("err", "\x1b[31mfatal\x1b[0m", "warn", "audit", None)] == [
        True, True, False, False, False,
    ]  # fmt: skip


def test_a_long_text_is_no_level_and_is_not_kept_in_memory() -> None:
    word = "error" * 100
    before = sys.getrefcount(word)
    assert known_level(word) is None
    assert sys.getrefcount(word) == before


@pytest.mark.parametrize(
    ("name", "number", "level", "original"),
    [
        ("", 1, "TRACE", None),
        ("", 8, "DEBUG", None),
        ("", 24, "FATAL", None),
        ("", 25, None, None),
        ("", -1, None, None),
        ("audit", 25, "AUDIT", None),
        ("audit", 10, "INFO", "audit"),
        ("x" * 100, 17, "ERROR", "x" * 100),
    ],
)
def test_a_severity_has_the_level_of_its_text_or_of_its_number(
    name: str, number: int, level: str | None, original: str | None
) -> None:
    before = sys.getrefcount(name)
    assert level_of_severity(name, number) == (level, original)
    assert len(name) < 100 or sys.getrefcount(name) == before
