"""The parts of a recovery: how logs and times divide it, and what is said of one that took too long."""

import time

import pytest

from tests.faults.recovery import Parts, Ready, Recovery, Start, bound, divide, read_log, slowest, within

MOST = bound(session=2, transaction=3)
SINCE = 100.0


def ready(at: float, what: str, *partitions: int) -> Ready:
    return Ready(SINCE + at, what, frozenset(partitions))


def recovery(
    assigned: float = 0, restored: float = 0, written: float = 0, committed: float = 0, *, starved: float = 0.5
) -> Recovery:
    return Recovery("kafka-kill", Parts(assigned, restored, written, committed), Start(12.4, 0.6), starved)


def test_the_log_of_a_worker_says_when_it_was_given_partitions_and_when_it_goes_on_with_them() -> None:
    text = (
        "2026-11-29 11:53:45,732 INFO    streams.worker.engine: assigned partitions [0, 1, 2]\n"
        "2026-11-29 11:53:45,740 WARNING streams.worker.engine: lost partitions [4]: dropping uncommitted work\n"
        "2026-11-29 11:53:45,750 INFO    streams.worker.engine: assigned partitions []\n"
        "2026-11-29 11:53:45,965 INFO    streams.join.handler: joining partitions [0, 1, 2], 2 with their kept state\n"
    )
    at = time.mktime((2026, 11, 29, 11, 53, 45, 0, 0, -1))
    found = read_log(text)
    assert [one.time - at for one in found] == pytest.approx([0.732, 0.965])
    assert [(one.what, sorted(one.partitions)) for one in found] == [("assigned", [0, 1, 2]), ("joining", [0, 1, 2])]


def test_the_last_assignment_before_the_first_record_divides_the_time() -> None:
    log = [
        ready(0.5, "assigned", 3),
        ready(0.7, "joining", 3),
        ready(1.5, "assigned", 3, 4),
        ready(2.5, "joining", 3, 4),
        ready(2.0, "assigned", 5),
        ready(9.0, "assigned", 3),
    ]
    assert divide(SINCE, log, 3, made=SINCE + 4.5, seen=SINCE + 5) == Parts(1.5, 1.0, 2.0, 0.5)


def test_a_partition_that_stayed_where_it_was_has_waited_for_its_producer_alone() -> None:
    log = [ready(-20, "assigned", 3), ready(-19, "joining", 3)]
    assert divide(SINCE, log, 3, made=SINCE + 2, seen=SINCE + 3) == Parts(0, 0, 2, 1)


@pytest.mark.parametrize(
    ("log", "parts"),
    [
        ([], Parts(60, 0, 0, 0)),
        ([ready(2, "assigned", 1)], Parts(2, 58, 0, 0)),
        ([ready(2, "assigned", 1), ready(5, "joining", 1)], Parts(2, 3, 55, 0)),
        ([ready(2, "assigned", 1), ready(5, "joining", 1), ready(9, "assigned", 1)], Parts(9, 51, 0, 0)),
    ],
)
def test_the_rest_of_the_time_of_a_partition_that_never_went_on_is_of_the_part_that_lasts(
    log: list[Ready], parts: Parts
) -> None:
    assert slowest(SINCE, log, [(SINCE + 1, SINCE + 1), None], SINCE + 60) == parts


def test_the_slowest_partition_is_the_recovery() -> None:
    first = [(SINCE + 1, SINCE + 2), (SINCE + 3, SINCE + 4), (SINCE + 1, SINCE + 1)]
    assert slowest(SINCE, [], first, SINCE + 5).seconds == 4


def test_the_bound_is_the_sum_of_its_parts_and_what_passes_at_the_same_time_is_in_it_once() -> None:
    assert MOST.seconds == 1 + 1 + max(2, 3 + 1) + 1 + 2
    assert bound(session=10, transaction=3).seconds == 1 + 1 + 10 + 1 + 2


def test_a_recovery_within_the_bound_shows_its_parts_and_what_is_not_ours() -> None:
    check = within([recovery(1.1, 0.3, 0.5, 0.1, starved=0.97)], MOST)
    assert check.ok
    assert str(check) == (
        "ok    every partition goes on within 9 s: kafka-kill: 2.0 s (assigned 1.1, restored 0.3, written 0.5, "
        "committed 0.1, after the broker's 12.4 and its coordinators' 0.6, processors busy for 97% of it)"
    )


@pytest.mark.parametrize(
    ("slow", "said"),
    [
        (recovery(assigned=4.1), "too long: assigned (at most 4 s)"),
        (recovery(restored=5.1), "too long: restored (at most 5 s)"),
        (recovery(written=4.1, committed=4.2), "too long: written (at most 4 s), committed (at most 4 s)"),
        (recovery(3, 3, 2, 1.5), "too long: all of it together"),
    ],
)
def test_a_slow_recovery_says_which_part_was_long(slow: Recovery, said: str) -> None:
    check = within([recovery(), slow], MOST)
    assert [against.rpartition("; ")[2] for against in check.against] == [said]


def test_on_a_machine_that_is_too_slow_the_sum_alone_counts() -> None:
    assert within([recovery(assigned=4.1, starved=0.91)], MOST).ok
    assert not within([recovery(assigned=4.1, starved=0.89)], MOST).ok
    assert not within([recovery(assigned=9.1, starved=0.91)], MOST).ok
