"""The grouping of errors as a worker's handler: what a transaction holds, also after one that was undone."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, Message, TopicPartition
from prometheus_client import CollectorRegistry

from pipeline.kafka.offsets import GroupOffset
from pipeline.model.problems import ALERT, OCCURRENCE, PROBLEM
from streams.alerts.handler import AlertGrouping
from streams.alerts.metrics import AlertMetrics
from streams.alerts.settings import AlertSettings
from streams.worker.handler import Due, Turn
from tests.kit.problem_examples import START, occurrence
from tracelink.kafka.topics import PartitionId, TopicNames

if TYPE_CHECKING:
    from streams.worker.restore import RestoreReader

_NAMES = TopicNames()
_HERE: PartitionId = (_NAMES.errors, 0)
_ELSEWHERE: PartitionId = (_NAMES.errors, 1)
_A, _B = "a" * 16, "b" * 16


class _Nothing:
    """A past in which nothing was done."""

    def committed(self, partitions: Sequence[PartitionId]) -> dict[PartitionId, GroupOffset]:
        return {one: GroupOffset(0, None) for one in partitions}

    def journal(self, _: object) -> Iterator[Message]:
        return iter(())


class _Ends:
    def get_watermark_offsets(self, _: TopicPartition, *, cached: bool) -> tuple[int, int]:
        assert cached
        return 0, 0


class Worked:
    """A handler that has two partitions of errors, and a worker's turns; only the first of these looks at the time."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.handler = AlertGrouping(AlertSettings.load(), AlertMetrics(self.registry))
        self.handler.assign([_HERE, _ELSEWHERE], cast("RestoreReader", _Nothing()))
        self.turn = Turn(cast("Consumer", _Ends()))
        self.turn.now, self.turn.wall = 1.0, START
        assert self.go_on() == []
        assert self.handler.due() is None

    def see(self, fingerprint: str, offset: int, where: PartitionId = _HERE) -> None:
        value = OCCURRENCE.encode(occurrence(fingerprint, START + offset, offset))
        stamp = (TIMESTAMP_LOG_APPEND_TIME, START + offset)
        message = Message(topic=where[0], partition=where[1], offset=offset, value=value, timestamp=stamp)
        self.handler.receive(*where, [message], self.turn)

    def go_on(self) -> list[str]:
        """Let a turn pass; return the alerts that go out in it."""
        self.turn.now += 1
        out = self.handler.advance(self.turn)
        assert {one.topic for one in out} <= {_NAMES.alerts}
        return [ALERT.decode(one.value or b"")["event"] for one in out]

    def shows(self) -> tuple[float | None, float | None]:
        value = self.registry.get_sample_value
        return value("tracelink_alerts_known_problems"), value("tracelink_alerts_firing_problems")


def _offsets(due: Due) -> dict[PartitionId, int]:
    return {(one.topic, one.partition): one.offset for one in due.offsets({})}


def _counts(due: Due) -> dict[str, int]:
    states = [PROBLEM.decode(value) for _, _, value, _ in due.records if value is not None]
    return {state["fingerprint"]: state["count"] for state in states}


@pytest.fixture
def worked() -> Worked:
    return Worked()


def test_an_alert_goes_out_with_its_problem_and_offset(worked: Worked) -> None:
    worked.see(_A, 0)
    assert worked.go_on() == ["NEW"]
    due = worked.handler.due()
    assert due is not None
    assert (_counts(due), _offsets(due)) == ({_A: 1}, {_HERE: 1})
    worked.handler.settle(committed=True)
    assert worked.go_on() == []
    assert worked.handler.due() is None


def test_what_an_aborted_transaction_held_goes_out_with_the_offset_of_all_that_it_counts(worked: Worked) -> None:
    worked.see(_A, 0)
    assert worked.go_on() == ["NEW"]
    assert worked.handler.due() is not None
    worked.handler.settle(committed=False)

    worked.see(_A, 1)  # one more of the same: nothing to tell, so it would wait for the next look
    assert worked.go_on() == ["NEW"]
    worked.see(_B, 0, _ELSEWHERE)
    assert worked.go_on() == ["NEW"]
    due = worked.handler.due()
    assert due is not None
    assert (_counts(due), _offsets(due)) == ({_A: 2, _B: 1}, {_HERE: 2, _ELSEWHERE: 1})


def test_what_an_aborted_transaction_held_is_due_although_nothing_else_has_come(worked: Worked) -> None:
    worked.see(_A, 0)
    worked.go_on()
    worked.handler.settle(committed=False)
    worked.see(_A, 1)
    assert worked.go_on() == ["NEW"]
    assert worked.handler.due() is not None, "its alert would stay in a transaction that nobody commits"


def test_problems_of_partitions_that_left_are_not_this_worker_s(worked: Worked) -> None:
    worked.see(_A, 0)
    worked.go_on()
    assert worked.shows() == (1, 1)
    worked.handler.release(committed=False)
    worked.turn.now += 10_000
    assert worked.go_on() == []
    assert worked.handler.due() is None
    assert worked.shows() == (0, 0), "the sum over all workers would count them twice"
