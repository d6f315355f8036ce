"""What all tests of replays have."""

import pytest

from tracelink.stretches import Reader


@pytest.fixture(autouse=True)
def reads_of_little_do_not_wait_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each look at a stretch take what is there: a test has few records, and a plan many looks."""
    monkeypatch.setattr(Reader.poll, "__defaults__", (0.02,))
