"""A new version of fingerprints: problems that were known before it keep theirs, and nobody is alerted again."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, cast

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, Message, TopicPartition
from prometheus_client import CollectorRegistry

from pipeline.kafka.offsets import GroupOffset
from pipeline.model.problems import ALERT, OCCURRENCE, PROBLEM, Occurrence
from streams.alerts.fingerprint import SUCCESSOR_HEADER, VERSION, VERSION_HEADER, Fields
from streams.alerts.handler import AlertGrouping
from streams.alerts.metrics import AlertMetrics
from streams.alerts.occurrence import Located, located
from streams.alerts.outbox import Outbox
from streams.alerts.settings import AlertSettings
from streams.worker.handler import Outgoing, Turn
from tests.kit import records as kit
from tests.kit.problem_examples import HOUR, MINUTE, START
from tests.kit.traces import trace
from tracelink.kafka.topics import PartitionId, TopicNames
from tracelink.model.records import Flag

if TYPE_CHECKING:
    from streams.worker.restore import RestoreReader

_NAMES = TopicNames()
_HERE: PartitionId = (_NAMES.errors, 0)
_LAYOUT = "17:22:12.291 ERROR s.Pay#7 TraceID: {0:032x} SpanID: {0:016x} "
_HEADERS = list[tuple[str, str | bytes | None]]
_STATES = Mapping[str, tuple[bytes | None, _HEADERS]]


def failed(message: str, number: int = 1) -> Located:
    """Return the occurrence of a trace with one errored line, behind the header of a layout."""
    line = kit.log(
        number, flags=int(Flag.ERROR), level="ERROR", service="pay", message=_LAYOUT.format(number) + message
    )
    found = located(trace([], [line]), Fields(), str)
    assert found is not None
    return found


class _Past:
    """What was committed before a start: no offsets, and these states."""

    def __init__(self, states: _STATES) -> None:
        self._states = states

    def committed(self, partitions: Sequence[PartitionId]) -> dict[PartitionId, GroupOffset]:
        return {one: GroupOffset(0, None) for one in partitions}

    def journal(self, _: object) -> Iterator[Message]:
        for key, (value, headers) in self._states.items():
            yield Message(topic=_NAMES.problems, partition=0, offset=0, key=key.encode(), value=value, headers=headers)


class _Ends:
    def get_watermark_offsets(self, _: TopicPartition, *, cached: bool) -> tuple[int, int]:
        assert cached
        return 0, 0


class Worker:
    """A worker that has one partition, begins with these states, and gets its own output for it back."""

    def __init__(self, states: _STATES | None = None) -> None:
        self.states = dict(states or {})
        self.told: list[str] = []
        self.handler = AlertGrouping(AlertSettings.load(), AlertMetrics(CollectorRegistry()))
        self.handler.assign([_HERE], cast("RestoreReader", _Past(self.states)))
        self._turn = Turn(cast("Consumer", _Ends()))
        self._turn.now, self._turn.wall = 1.0, START
        self._offset = 0

    def take(
        self, messages: Sequence[Outgoing], at: int, *, after: float = 2_000, committed: bool = True
    ) -> list[Outgoing]:
        """Take in occurrences that arrive then, and commit; returns those that the worker passes on.

        The worker looks at the time `after` so many milliseconds; each second it writes all counts.
        """
        for one in messages:
            assert one.topic == _NAMES.errors
            message = Message(
                topic=one.topic, partition=0, offset=self._offset, key=one.key, value=one.value,
                headers=[*(one.headers or ())], timestamp=(TIMESTAMP_LOG_APPEND_TIME, at),
            )  # fmt: skip
            self._offset += 1
            self.handler.receive(*_HERE, [message], self._turn)
        self._turn.now += after
        out = list(self.handler.advance(self._turn))
        due = self.handler.due()
        assert due is not None
        assert [(one.topic, one.offset) for one in due.offsets({})] == [(_NAMES.errors, self._offset)]
        self.handler.settle(committed=committed)
        for _, key, value, headers in due.records if committed else ():
            self.states[(key or b"").decode()] = value, list(headers)
        for one in out:
            if committed and one.topic == _NAMES.alerts:
                alert = ALERT.decode(one.value or b"")
                self.told.append(f"{alert['event']} {alert['problem']['fingerprint']}")
        return [one for one in out if one.topic == _NAMES.errors]

    def count(self, fingerprint: str) -> int | None:
        value, _ = self.states.get(fingerprint, (None, []))
        return PROBLEM.decode(value)["count"] if value else None

    def version(self, fingerprint: str) -> _HEADERS:
        return self.states[fingerprint][1]


def sent(found: Located, time: int = START) -> list[Outgoing]:
    """Return the messages by which a worker hands an occurrence of then over."""
    outbox = Outbox(_NAMES)
    outbox.locate(Located({**found.occurrence, "time": time}, found.former))
    return outbox.unsent()


def sent_before(found: Located, time: int = START) -> list[Outgoing]:
    """Return the messages by which a worker of the version before hands it over."""
    former = found.former or found.occurrence["fingerprint"]
    value: Occurrence = {**found.occurrence, "time": time, "fingerprint": former}
    return [Outgoing(_NAMES.errors, former.encode(), OCCURRENCE.encode(value))]


def before_the_upgrade(*known: Located) -> _STATES:
    """Return the states that a worker of the version before has written: they have no version."""
    worker = Worker()
    for found in known:
        worker.take(sent_before(found), START)
    return {key: (value, []) for key, (value, _) in worker.states.items()}


OLD, OTHER, SAME = failed("no card"), failed("no stock", 2), failed("no card")._replace(former=None)


def test_an_occurrence_goes_to_its_former_problem_with_its_fingerprint_in_a_header() -> None:
    (message,) = sent(OLD)
    assert OLD.former is not None
    assert message.key == OLD.former.encode()
    assert OCCURRENCE.decode(message.value or b"")["fingerprint"] == OLD.former
    assert message.headers == [(SUCCESSOR_HEADER, OLD.occurrence["fingerprint"].encode())]
    (message,) = sent(SAME)
    assert (message.key, message.headers) == (SAME.occurrence["fingerprint"].encode(), None)


def test_a_problem_that_was_known_before_the_upgrade_is_counted_and_not_announced_again() -> None:
    assert OLD.former is not None
    worker = Worker(before_the_upgrade(OLD))
    for minute in range(1, 10):
        assert worker.take(sent(OLD, START + minute * MINUTE), START + minute * MINUTE) == []
    assert worker.told == []
    assert (worker.count(OLD.former), worker.count(OLD.occurrence["fingerprint"])) == (10, None)
    assert worker.version(OLD.former) == []


def test_its_text_is_that_of_the_new_version() -> None:
    worker = Worker(before_the_upgrade(OLD))
    worker.take(sent(OLD), START + MINUTE)
    value, _ = worker.states[OLD.former or ""]
    assert PROBLEM.decode(value or b"")["message"] == "no card"


def test_it_is_still_known_after_further_starts_of_the_new_version() -> None:
    worker = Worker(before_the_upgrade(OLD))
    worker.take(sent(OLD), START + MINUTE)
    again = Worker(worker.states)
    assert again.take(sent(OLD, START + 2 * MINUTE), START + 2 * MINUTE) == []
    assert (again.told, again.count(OLD.former or "")) == ([], 3)


def test_a_problem_that_nobody_knew_is_passed_on_and_announced_once() -> None:
    worker = Worker(before_the_upgrade(OLD))
    passed_on = worker.take(sent(OTHER), START + MINUTE)
    fingerprint = OTHER.occurrence["fingerprint"]
    assert [(one.key, one.headers) for one in passed_on] == [(fingerprint.encode(), None)]
    assert worker.take(passed_on, START + MINUTE) == []
    assert worker.take(worker.take(sent(OTHER), START + MINUTE), START + MINUTE) == []
    assert (worker.told, worker.count(fingerprint), worker.count(OTHER.former or "")) == (
        [f"NEW {fingerprint}"],
        2,
        None,
    )
    assert worker.version(fingerprint) == [(VERSION_HEADER, str(VERSION).encode())]


def test_after_known_for_a_former_problem_is_new_under_the_fingerprint_of_the_new_version() -> None:
    worker = Worker(before_the_upgrade(OLD))
    late = START + 25 * HOUR
    passed_on = worker.take(sent(OLD, late), late)
    assert worker.told == [f"RESOLVED {OLD.former}"]
    worker.take(passed_on, late)
    assert worker.told[1:] == [f"NEW {OLD.occurrence['fingerprint']}"]
    assert worker.count(OLD.former or "") is None


def test_one_log_line_says_how_many_problems_are_known_under_the_version_before(
    caplog: pytest.LogCaptureFixture,
) -> None:
    states = before_the_upgrade(OLD, OTHER)
    with caplog.at_level(logging.INFO, "streams.alerts.handler"):
        worker = Worker(states)
    said = [one.getMessage() for one in caplog.records if "fingerprints" in one.getMessage()]
    assert len(said) == 1
    assert said[0].startswith(f"fingerprints have version {VERSION}: 2 problems are known under an earlier one; ")
    assert said[0].endswith("none of them is announced again until it is forgotten, 86400 s after its last occurrence")
    for found in (OLD, OTHER):  # as if their fingerprints were the same in both versions
        worker.take(sent_before(found), START + MINUTE)
    caplog.clear()
    with caplog.at_level(logging.INFO, "streams.alerts.handler"):
        Worker(worker.states)
    assert not [one for one in caplog.records if "fingerprints" in one.getMessage()]


def test_an_occurrence_of_a_worker_of_the_version_before_is_counted_under_its_fingerprint() -> None:
    worker = Worker(before_the_upgrade(OLD))
    assert worker.take(sent_before(OLD), START + MINUTE) == []
    assert (worker.told, worker.count(OLD.former or "")) == ([], 2)


def test_what_is_passed_on_is_committed_with_the_counts_before_it() -> None:
    worker = Worker(before_the_upgrade(OLD))
    assert len(worker.take([*sent(OLD), *sent(OTHER)], START + MINUTE)) == 1
    assert worker.count(OLD.former or "") == 2


def test_what_is_passed_on_in_an_aborted_transaction_goes_out_with_the_offset_of_all_that_was_counted() -> None:
    worker = Worker(before_the_upgrade(OLD))
    assert len(worker.take(sent(OTHER), START + MINUTE, committed=False)) == 1
    # Nothing to announce: alone it would be written with the next look at the time.
    assert len(worker.take(sent(OLD), START + MINUTE, after=1)) == 1
    assert worker.count(OLD.former or "") == 2
