"""When a worker is stuck, and when it only waits; and how one that is stuck ends, whatever it hangs in."""

import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from itertools import pairwise
from threading import Event

import pytest

from pipeline.runtime.watchdog import STUCK_EXIT_CODE, EndOffset, Stuck, Watchdog, watching
from sinks.base.settings import SinkSettings
from streams.join.settings import JoinSettings
from tracelink.errors import Unavailable
from tracelink.kafka.topics import PartitionId

ONE, TWO = ("tracelink.traces", 3), ("tracelink.traces", 4)
STUCK_AFTER = 100.0


class Kafka:
    """Where partitions end; counts how often it is asked."""

    def __init__(self, **ends: int) -> None:
        self.stable = {ONE: ends.get("one", 0), TWO: ends.get("two", 0)}
        self.open: dict[PartitionId, int] = {}
        self.away = False
        self.asked = 0
        self.members = 1

    def __call__(self, partitions: Iterable[PartitionId]) -> Mapping[PartitionId, EndOffset]:
        self.asked += 1
        if self.away:
            raise Unavailable("Kafka is away")
        return {one: EndOffset(self.stable[one], self.open.get(one, self.stable[one])) for one in partitions}

    def is_empty(self) -> bool:
        if self.away:
            raise Unavailable("Kafka is away")
        return not self.members


class Watched:
    """A worker that is looked at each `interval`, in a time that passes when it is told to."""

    def __init__(self, kafka: Kafka) -> None:
        self.watchdog = Watchdog(STUCK_AFTER)
        self.now = 5000.0
        self._kafka = kafka

    def report(self, done: Mapping[PartitionId, int], *, excused: bool = False) -> None:
        self.watchdog.report(self.now, done, excused=excused)

    def passes(self, seconds: float) -> str | None:
        """Let time pass without a report."""
        until = self.now + seconds
        while self.now < until and self.watchdog.stuck is None:
            self.now += self.watchdog.interval
            self.watchdog.look(self.now, self._kafka, self._kafka.is_empty)
        return self.watchdog.stuck

    def repeats(self, done: Mapping[PartitionId, int], seconds: float, *, excused: bool = False) -> str | None:
        """Let time pass, with the same report again and again."""
        until = self.now + seconds
        while self.now < until and self.watchdog.stuck is None:
            self.report(done, excused=excused)
            self.passes(self.watchdog.interval)
        return self.watchdog.stuck


def test_a_worker_that_stands_still_with_lag_is_stuck_and_says_since_when_and_where() -> None:
    worker = Watched(Kafka(one=4720, two=7))
    assert worker.repeats({ONE: 4711, TWO: 7}, STUCK_AFTER - 10) is None
    assert worker.repeats({ONE: 4711, TWO: 7}, 20) == (
        "no progress for 100 s at a lag of 9, most of it on tracelink.traces[3], which is at offset 4711"
    )
    assert worker.watchdog.not_ready() == worker.watchdog.stuck


def test_a_loop_that_hangs_is_stuck_though_it_reports_nothing() -> None:
    worker = Watched(Kafka(one=10))
    worker.report({ONE: 4})
    why = worker.passes(STUCK_AFTER + 10)
    assert why is not None
    assert "the loop has been stuck for 100 s" in why


@pytest.mark.parametrize("done", [{}, {ONE: 10}], ids=["without partitions", "at the end of everything"])
def test_a_loop_that_hangs_is_stuck_though_there_is_no_work(done: Mapping[PartitionId, int]) -> None:
    worker = Watched(Kafka(one=10))
    assert worker.repeats(done, 10 * STUCK_AFTER) is None
    assert worker.passes(STUCK_AFTER - 10) is None
    assert worker.passes(20) == "the loop has been stuck for 100 s"


def test_a_loop_that_hangs_before_it_ever_reports_is_stuck() -> None:
    assert Watched(Kafka()).passes(STUCK_AFTER + 10) == "the loop has been stuck for 100 s"


def test_a_loop_that_waits_for_kafka_does_not_hang() -> None:
    kafka = Kafka(one=10)
    worker = Watched(kafka)
    worker.report({})
    kafka.away = True
    assert worker.passes(10 * STUCK_AFTER) is None
    kafka.away = False
    assert worker.passes(STUCK_AFTER - 10) is None
    assert worker.passes(20) == "the loop has been stuck for 100 s"


def test_a_loop_that_goes_round_and_gets_no_further_does_not_hang() -> None:
    worker = Watched(Kafka(one=10))
    worker.report({ONE: 4})
    for _ in range(8):
        worker.watchdog.alive(worker.now)
        assert worker.passes(STUCK_AFTER / 10) is None
    worker.watchdog.alive(worker.now)
    assert "hangs" not in (worker.passes(STUCK_AFTER / 2) or "hangs")


def test_work_that_came_while_there_was_none_counts_from_then_on() -> None:
    kafka = Kafka(one=4)
    worker = Watched(kafka)
    assert worker.repeats({ONE: 4}, 10 * STUCK_AFTER) is None
    kafka.stable[ONE] = 5
    assert worker.repeats({ONE: 4}, STUCK_AFTER - 10) is None
    assert worker.repeats({ONE: 4}, 20) is not None


def test_a_partition_that_was_never_begun_is_lag() -> None:
    worker = Watched(Kafka(one=10))
    assert "has not been started" in (worker.repeats({ONE: -1}, STUCK_AFTER + 10) or "")


def test_a_partition_without_records_need_not_be_begun() -> None:
    assert Watched(Kafka(one=0)).repeats({ONE: -1}, 10 * STUCK_AFTER) is None


def test_a_worker_at_the_end_of_everything_is_not_stuck_however_long() -> None:
    worker = Watched(Kafka(one=10, two=3))
    assert worker.repeats({ONE: 10, TWO: 3}, 10 * STUCK_AFTER) is None
    assert worker.watchdog.not_ready() is None


def test_a_worker_that_moves_slowly_is_not_stuck() -> None:
    worker = Watched(Kafka(one=100))
    for offset in range(5):
        assert worker.repeats({ONE: offset}, STUCK_AFTER - 10) is None
    assert worker.repeats({ONE: 4}, 20) is not None


def test_kafka_is_not_asked_while_everything_moves() -> None:
    kafka = Kafka(one=100)
    worker = Watched(kafka)
    for offset in range(20):
        worker.repeats({ONE: offset}, worker.watchdog.interval)
    assert kafka.asked == 0
    worker.passes(worker.watchdog.interval)
    assert kafka.asked == 1


def test_a_worker_without_partitions_is_not_stuck_while_others_may_have_them() -> None:
    worker = Watched(Kafka(one=10))
    worker.report({ONE: 4})
    assert worker.repeats({}, 10 * STUCK_AFTER) is None


def test_a_worker_without_partitions_is_stuck_where_nobody_has_them() -> None:
    kafka = Kafka(one=10)
    kafka.members = 0
    worker = Watched(kafka)
    worker.report({ONE: 4})
    assert worker.repeats({}, STUCK_AFTER) is None
    assert worker.repeats({}, 3 * worker.watchdog.interval) == (
        "its group has had no members for 100 s, although it should be one"
    )


def test_a_worker_that_joins_while_its_group_is_empty_has_its_time_each_time() -> None:
    kafka = Kafka(one=10)
    kafka.members = 0
    worker = Watched(kafka)
    for offset in range(4):
        assert worker.repeats({}, STUCK_AFTER - 10) is None
        assert worker.repeats({ONE: offset}, 2 * worker.watchdog.interval) is None


def test_a_group_that_kafka_does_not_tell_of_is_not_taken_for_empty() -> None:
    kafka = Kafka(one=10)
    kafka.members, kafka.away = 0, True
    worker = Watched(kafka)
    worker.report({ONE: 4})
    assert worker.repeats({}, 10 * STUCK_AFTER) is None
    kafka.away = False
    assert worker.repeats({}, STUCK_AFTER - 10) is None
    assert worker.repeats({}, 30) is not None


def test_waiting_for_somebody_else_does_not_count_and_the_clock_starts_after_it() -> None:
    worker = Watched(Kafka(one=10))
    assert worker.repeats({ONE: 4}, 10 * STUCK_AFTER, excused=True) is None
    assert worker.repeats({ONE: 4}, STUCK_AFTER - 10) is None
    assert worker.repeats({ONE: 4}, 20) is not None


def test_a_loop_that_hangs_after_an_excuse_is_stuck() -> None:
    worker = Watched(Kafka(one=10))
    worker.report({ONE: 4}, excused=True)
    assert worker.passes(STUCK_AFTER + 10) is not None


def test_an_open_transaction_is_waited_for_and_named_and_is_no_lag() -> None:
    kafka = Kafka(one=4711, two=7)
    kafka.open[ONE] = 9000
    worker = Watched(kafka)
    assert worker.repeats({ONE: 4711, TWO: 7}, 3 * STUCK_AFTER) is None
    assert worker.watchdog.not_ready() == (
        "waiting for a transaction that is open on tracelink.traces[3] at offset 4711, for 290 s so far"
    )
    kafka.stable[ONE] = 9000
    worker.repeats({ONE: 4711, TWO: 7}, 10)
    assert worker.watchdog.not_ready() is None
    worker.repeats({ONE: 9000, TWO: 7}, 10)
    assert worker.watchdog.not_ready() is None


def test_an_open_transaction_excuses_no_other_partition() -> None:
    kafka = Kafka(one=4711, two=8)
    kafka.open[ONE] = 9000
    why = Watched(kafka).repeats({ONE: 4711, TWO: 7}, STUCK_AFTER + 10)
    assert why is not None
    assert "a lag of 1, most of it on tracelink.traces[4]" in why


def test_records_below_an_open_transaction_are_lag() -> None:
    kafka = Kafka(one=4711)
    kafka.open[ONE] = 9000
    assert Watched(kafka).repeats({ONE: 4710}, STUCK_AFTER + 10) is not None


def test_transactions_that_come_and_go_are_not_waited_for() -> None:
    kafka = Kafka(one=10)
    worker = Watched(kafka)
    for stable, high in pairwise(range(10, 30)):
        kafka.stable[ONE], kafka.open[ONE] = stable, high
        worker.repeats({ONE: stable}, worker.watchdog.interval)
        worker.passes(worker.watchdog.interval)
        assert worker.watchdog.not_ready() is None


def test_while_kafka_is_away_nothing_counts_and_that_is_said() -> None:
    kafka = Kafka(one=10)
    kafka.away = True
    worker = Watched(kafka)
    assert worker.repeats({ONE: 4}, 10 * STUCK_AFTER) is None
    assert worker.watchdog.not_ready() == "Kafka is away"
    kafka.away = False
    assert worker.repeats({ONE: 4}, STUCK_AFTER - 10) is None
    assert worker.watchdog.not_ready() is None
    assert worker.repeats({ONE: 4}, 20) is not None


def test_a_process_that_was_stopped_for_long_gets_its_time_anew() -> None:
    kafka = Kafka(one=10)
    worker = Watched(kafka)
    worker.repeats({ONE: 4}, STUCK_AFTER / 2)
    worker.now += 10 * STUCK_AFTER
    assert worker.passes(STUCK_AFTER - 10) is None
    assert worker.passes(20) is not None


def test_the_time_is_a_setting_of_the_join_and_of_the_sinks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert JoinSettings.load().stuck_after == SinkSettings.load().stuck_after == 300
    monkeypatch.setenv("TRACELINK_STUCK_AFTER", "20")
    assert JoinSettings.load().stuck_after == SinkSettings.load().stuck_after == 20


def test_a_stuck_worker_is_told_to_end_and_its_end_says_why() -> None:
    watchdog, ended = Watchdog(0.1), Event()
    watchdog.report(0.0, {ONE: 4})
    with (
        pytest.raises(Stuck, match=r"no progress for .* is at offset 4") as caught,
        watching(watchdog, Kafka(one=10), end=ended.set, grace=60),
    ):
        assert ended.wait(20)
    assert caught.value.exit_code == STUCK_EXIT_CODE


def test_a_worker_that_gets_on_is_left_alone() -> None:
    kafka, ended, looked = Kafka(one=4), Event(), Event()

    def ask(partitions: Iterable[PartitionId]) -> Mapping[PartitionId, EndOffset]:
        if kafka.asked > 20:  # twice as many looks as make a worker stuck
            looked.set()
        watchdog.alive(time.monotonic())
        return kafka(partitions)

    watchdog = Watchdog(0.1)
    watchdog.report(time.monotonic(), {ONE: 4})
    with watching(watchdog, ask, end=ended.set, grace=60):
        assert looked.wait(20)
    assert not ended.is_set()


HANGS = """
import threading
from pipeline.runtime.log_config import configure_logging
from pipeline.runtime.watchdog import EndOffset, Watchdog, watching

configure_logging("info")
watchdog = Watchdog(0.1)
watchdog.report(0.0, {("tracelink.traces", 3): 4})
with watching(watchdog, lambda partitions: {one: EndOffset(10, 10) for one in partitions}, end=lambda: None, grace=0.1):
    threading.Event().wait()
"""


def test_a_process_that_does_not_end_when_told_is_ended_hard() -> None:
    ended = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == STUCK_EXIT_CODE
    lines = (ended.stdout + ended.stderr).splitlines()
    assert len(lines) == 2
    assert "stuck, ending: no progress" in lines[0]
    assert "did not end within 0.1 s" in lines[1]
