"""What all tests of replays have."""

import pytest

from pipeline.kafka.reader import Reader
from streams.replay.jobs import Jobs
from tests.kit.replay_traffic import NO_END


@pytest.fixture(autouse=True)
def reads_of_little_do_not_wait_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each look at a stretch take what is there: a test has few records, and a plan many looks."""
    monkeypatch.setattr(Reader.poll, "__defaults__", (0.02,))


@pytest.fixture(autouse=True)
def the_brokers_time_is_behind_all_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nothing left to the live join: the records of these tests are still to come."""
    monkeypatch.setattr(Jobs, "now", lambda _: NO_END)
