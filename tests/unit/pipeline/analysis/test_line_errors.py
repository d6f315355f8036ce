"""The error of a line: from its exception, from an exception in its text, and without the header of its layout."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analysis.line_errors import error_of_line, former_error_of_line
from tests.kit import records as kit
from tracelink.model.records import LogRecord

HEADER = "2026-11-20 08:15:30.123 [main] ERROR shop.Pay - "
JAVA = "java.io.IOException: closed\n\tat shop.Pay.charge(Pay.java:7)"


def line(message: str, **fields: object) -> LogRecord:
    made: dict[str, Any] = {"message": message, "logger": None, "exception": None}
    return kit.log(1, **made | fields)


@pytest.mark.parametrize(
    ("message", "kind", "said"),
    [
        ("no card", None, "no card"),
        (JAVA, "java.io.IOException", "closed"),
        (f"cannot pay\n{JAVA}", "java.io.IOException", "closed"),
        ("failed; nested exception is a.B: no card", "a.B", "no card"),
        ("java.lang.NullPointerException\n\tat shop.Pay.charge(Pay.java:7)", "java.lang.NullPointerException", None),
        ("cannot pay\n\tat shop.Pay.charge(Pay.java:7)", None, "cannot pay"),
        ("cannot pay\nTraceback (most recent call last):\n  File …\nKeyError: 'card'", "KeyError", "'card'"),
    ],
)
def test_the_error_stands_in_the_text_behind_any_header(message: str, kind: str | None, said: str | None) -> None:
    assert error_of_line(line(message)) == (kind, said, None)
    assert error_of_line(line(HEADER + message)) == (kind, said, "shop.Pay")


def test_the_logger_of_the_line_is_preferred_to_that_of_its_header() -> None:
    assert error_of_line(line(f"{HEADER}no card", logger="pay")).logger == "pay"


def test_the_message_of_a_line_of_pairs_is_its_msg() -> None:
    assert error_of_line(line('level=error msg="no card" order=7')) == (None, "no card", None)
    assert error_of_line(line("level=error order=7")) == (None, "level=error order=7", None)


@pytest.mark.parametrize(
    ("exception", "expected"),
    [
        ({"type": "a.B", "message": "no card"}, ("a.B", "no card")),
        ({"type": "a.B"}, ("a.B", "charge")),
        ({"message": "no card"}, (None, "no card")),
        ({"stackTrace": JAVA}, ("java.io.IOException", "closed")),
        ({"stackTrace": JAVA, "message": "no card"}, ("java.io.IOException", "no card")),
        ({"type": "a.B", "stackTrace": JAVA}, ("a.B", "charge")),
        ({"stackTrace": "at charge"}, (None, "charge")),
    ],
)
def test_a_logged_exception_is_preferred_to_the_text(
    exception: dict[str, str], expected: tuple[str | None, str]
) -> None:
    assert error_of_line(line(f"{HEADER}charge", exception=exception))[:2] == expected
    assert former_error_of_line(line("charge", exception=exception))[:2] == expected


def test_version_1_reads_only_javas_exceptions_and_no_header() -> None:
    assert former_error_of_line(line(f"cannot pay\n{JAVA}")) == ("java.io.IOException", "closed", None)
    assert former_error_of_line(line(f"{HEADER}no card")) == (None, f"{HEADER}no card", None)


@given(
    st.text(), st.none() | st.dictionaries(st.sampled_from(["type", "message", "stackTrace"]), st.none() | st.text())
)
def test_a_line_that_says_something_has_an_error(message: str, exception: dict[str, str | None] | None) -> None:
    for read in (error_of_line, former_error_of_line):
        found = read(line(message, exception=exception))
        assert found.type or found.message or not message
