"""The problems as they are now: their order, and what is said while Kafka is not there."""

import asyncio
from typing import cast

import pytest

from pipeline.kafka.problem_topic import ProblemsTopic
from sinks.page import live as module
from sinks.page.live import LiveProblems
from tests.kit.alerts import problem
from tests.kit.page import Topic, live
from tests.kit.waiting import eventually
from tracelink.errors import UserError
from tracelink.settings import KafkaSettings


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what waits for seconds wait for a moment."""
    monkeypatch.setattr(module, "_SILENCE", 0.05)
    monkeypatch.setattr(module, "_SECONDS_BETWEEN_TRIES", 0.05)


def test_firing_problems_and_the_newest_are_first() -> None:
    problems = [
        problem("a1", firstSeen=1),
        problem("a2", firstSeen=3, status="QUIET"),
        problem("a3", firstSeen=2, muted=True),
        problem("a4", firstSeen=2),
    ]
    with live(Topic(problems)) as following:
        assert [one["fingerprint"] for one in following.all()] == ["a3", "a4", "a1", "a2"]
        resolved = following.find("a2")
        assert resolved
        assert resolved["status"] == "QUIET"
        assert following.find("a9") is None


def test_a_topic_that_is_not_read_to_its_end_shows_nothing_yet() -> None:
    topic = Topic([problem("a1")])
    topic.is_read = False
    following = LiveProblems(KafkaSettings.load(), make=lambda _: cast("ProblemsTopic", topic), check=lambda _: None)
    with following:
        eventually(lambda: topic.listing.count() == (1, 0))
        assert following.all() == []
        assert following.failure == "The topic of problems has not been read yet."
        topic.is_read = True
        eventually(lambda: following.failure is None)
        assert len(following.all()) == 1


@pytest.mark.usefixtures("hurried")
def test_a_kafka_that_is_not_there_at_the_start_is_said_until_it_comes(caplog: pytest.LogCaptureFixture) -> None:
    answers = iter([UserError("Kafka does not answer."), UserError("Kafka does not answer."), Topic([problem("a1")])])

    def make(_: KafkaSettings) -> ProblemsTopic:
        answer = next(answers)
        if isinstance(answer, UserError):
            raise answer
        return cast("ProblemsTopic", answer)

    with LiveProblems(KafkaSettings.load(), make=make, check=lambda _: None) as following:
        eventually(lambda: following.failure is None)
        assert [one["fingerprint"] for one in following.all()] == ["a1"]
    # It says so once.
    assert caplog.text.count("Kafka does not answer.") == 1


@pytest.mark.usefixtures("hurried")
def test_a_kafka_that_is_gone_is_said_and_the_problems_stay() -> None:
    gone = False

    def check(_: KafkaSettings) -> None:
        if gone:
            raise UserError("Kafka does not answer.")

    with live(Topic([problem("a1")]), check) as following:

        async def told() -> None:
            """Wait until a page that listens is to look again: at once, and when Kafka is gone."""
            nonlocal gone
            changes = following.changes()
            assert await anext(changes)
            gone = True
            assert await anext(changes)
            await changes.aclose()

        asyncio.run(told())
        assert following.failure == "Kafka does not answer."
        assert [one["fingerprint"] for one in following.all()] == ["a1"]
        gone = False
        eventually(lambda: following.failure is None)
