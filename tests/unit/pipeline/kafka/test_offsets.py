"""Asking for offsets while the brokers go and come."""

from collections.abc import Collection
from concurrent.futures import Future
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from pipeline.kafka.offsets import OffsetLookup
from tracelink.errors import UserError
from tracelink.kafka import errors

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

_HERE = ("spans", 0)


class _Brokers:
    """Answers each question for offsets with the next of these, and each for metadata with the same error or none.

    With `stays=False` the error is that of the first question only.
    """

    def __init__(self, *answers: int | KafkaError, topic_error: KafkaError | None = None, stays: bool = True) -> None:
        self.answers = list(answers)
        self._topic_error = topic_error
        self._stays = stays

    def list_topics(self, topic: str, *, timeout: float) -> SimpleNamespace:
        assert timeout
        error, self._topic_error = self._topic_error, self._topic_error if self._stays else None
        return SimpleNamespace(topics={topic: SimpleNamespace(error=error, partitions={0: None, 1: None})})

    def list_offsets(
        self, asked: Collection[TopicPartition], **_: object
    ) -> dict[TopicPartition, Future[SimpleNamespace]]:
        answer = self.answers.pop(0)
        future: Future[SimpleNamespace] = Future()
        if isinstance(answer, KafkaError):
            future.set_exception(KafkaException(answer))
        else:
            future.set_result(SimpleNamespace(offset=answer))
        return dict.fromkeys(asked, future)


def lookup(brokers: _Brokers) -> OffsetLookup:
    return OffsetLookup(cast("AdminClient", brokers))


@pytest.mark.parametrize(
    "error",
    [
        KafkaError(errors.NO_ENTRY, "Failed to query partition leaders: No leaders found"),
        KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION),
        KafkaError(KafkaError.REQUEST_TIMED_OUT),
    ],
    ids=str,
)
def test_partitions_whose_leader_is_gone_for_a_moment_are_asked_for_again(error: KafkaError) -> None:
    assert lookup(_Brokers(error, error, 7)).ends([_HERE]) == {_HERE: 7}


def test_a_topic_that_is_not_there_is_not_waited_for() -> None:
    brokers = _Brokers(7, topic_error=KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
    with pytest.raises(UserError, match="Unknown topic"):
        lookup(brokers).ends([_HERE])
    assert brokers.answers == [7]


def test_a_topic_that_has_no_leaders_yet_is_asked_for_again() -> None:
    new = _Brokers(topic_error=KafkaError(KafkaError.LEADER_NOT_AVAILABLE), stays=False)
    assert lookup(new).partitions("spans") == [("spans", 0), ("spans", 1)]


def test_a_topic_that_does_not_exist_is_named_with_the_command_that_creates_it() -> None:
    missing = _Brokers(topic_error=KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
    with pytest.raises(UserError, match=r"Kafka has no topic spans\. Create the topics with: tracelink topics apply"):
        lookup(missing).partitions("spans")
