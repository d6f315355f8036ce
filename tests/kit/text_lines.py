"""Text lines of loggers' layouts, and the fields that are read from them."""

import pytest

TRACE, SPAN = "6bdb73cbaaaad82de7c4ca622575c8ca", "84b9310dfffaf4e3"
IDS = {"trace_id": TRACE, "span_id": SPAN}
DAY, CLOCK = "2026-11-20", "08:15:30.123"
TIME = f"{DAY} {CLOCK}"


def case(
    line: str, message: str | None = "no card", level: str | None = "ERROR", time: str | None = TIME, **more: str
) -> object:
    """Return a line and all of its fields, as parameters of a test; None for a field that is absent."""
    found = {"time": time, "level": level, "message": message}
    return pytest.param(line, {name: value for name, value in found.items() if value is not None} | more, id=line[:60])
