"""Levels written as numbers, on the scale of the logger that wrote them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats.level_numbers import level_of_number
from tracelink.model.levels import LEVELS

GELF = {"version": "1.1", "host": "pay-1"}
PYTHON = {"lineno": "7", "funcName": "charge"}


@pytest.mark.parametrize(
    ("number", "name", "line", "level"),
    [
        (10, "level", {}, "TRACE"),
        (30, "level", {}, "INFO"),
        (40, "level", {}, "WARN"),
        (50.0, "level", {}, "ERROR"),
        (55, "level", {}, "ERROR"),
        (60, "level", {}, "FATAL"),
        (40, "levelno", {}, "ERROR"),
        (40, "level", PYTHON, "ERROR"),
        (25, "levelno", {}, "INFO"),
        (3, "level", GELF, "ERROR"),
        (6, "level", GELF, "INFO"),
        (4, "level", {"short_message": "x"}, "WARNING"),
        (2, "priority", {}, "CRITICAL"),
        (3, "severity", {"facility": "daemon"}, "ERROR"),
        (250, "level", {}, "NOTICE"),
        (400, "level", {}, "ERROR"),
        (550, "level", {}, "ALERT"),
        (300, "severity", {}, "NOTICE"),
        (500, "severity", {}, "ERROR"),
        (17, "severitynumber", {}, "ERROR"),
        (9, "severitynumber", {}, "INFO"),
        (24, "severitynumber", {}, "FATAL"),
        (40000, "levelvalue", {}, "ERROR"),
    ],
)
def test_the_scale_follows_from_the_name_and_the_line(
    number: float, name: str, line: dict[str, str], level: str
) -> None:
    assert level_of_number(number, name, line) == level


@pytest.mark.parametrize(
    ("number", "name"),
    [(4, "level"), (0, "level"), (401, "level"), (-1, "level"), (25, "severitynumber"), (8, "priority")],
)
def test_a_number_whose_scale_is_unclear_is_left_alone(number: int, name: str) -> None:
    assert level_of_number(number, name, {}) is None


@given(st.integers() | st.floats(allow_nan=False), st.sampled_from(["level", "severity", "levelno", "priority"]))
def test_any_number_is_a_level_or_none(number: float, name: str) -> None:
    assert level_of_number(number, name, {}) in {None, *LEVELS}
