"""When a problem is new, back, too frequent or over, and what its state says; a pure machine."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.problems import ALERT, PROBLEM, Problem
from streams.alerts.problems import ProblemLimits, Problems
from streams.alerts.rule import Rule, Threshold
from tests.kit.problem_examples import HOUR, MINUTE, SECOND, START, matching, occurrence

_LIMITS = ProblemLimits(known_for=24 * HOUR, quiet_after=15 * MINUTE, most=100)
_A, _B = "a" * 16, "b" * 16


class Seen:
    """A partition's problems, and everything they have told."""

    def __init__(self, limits: ProblemLimits = _LIMITS, states: Iterable[Problem] = (), **rules: Rule) -> None:
        self.rules = {name * 16: rule for name, rule in rules.items()}
        self.problems = Problems(matching(self.rules), limits, states)
        self.told: list[str] = []
        self.states: dict[str, Problem] = {}
        self.written: list[Problem | None] = []

    def see(self, fingerprint: str = _A, at: int = START, time: int | None = None, trace: int = 1) -> None:
        self.problems.observe(occurrence(fingerprint, at if time is None else time, trace), at)
        self.take_note()

    def advance(self, now: int) -> None:
        self.problems.advance(now)
        self.take_note()

    def take_note(self) -> None:
        changes = self.problems.drain()
        for alert in changes.alerts:
            assert ALERT.decode(ALERT.encode(alert)) == alert
            self.told.append(f"{alert['event']} {alert['problem']['fingerprint'][0]}")
        for fingerprint, state in changes.states():
            self.written.append(state)
            if state is None:
                del self.states[fingerprint]
            else:
                assert PROBLEM.decode(PROBLEM.encode(state)) == state
                self.states[fingerprint] = state


def test_a_problem_alerts_once_however_often_it_comes() -> None:
    seen = Seen()
    for number in range(50):
        seen.see(at=START + number * SECOND, trace=number)
    seen.see(_B, at=START + 60 * SECOND)
    assert seen.told == ["NEW a", "NEW b"]
    assert seen.states[_A]["count"] == 50


def test_a_problem_that_was_quiet_is_resolved_and_comes_back() -> None:
    seen = Seen()
    seen.see()
    seen.advance(START + 15 * MINUTE - 1)
    assert seen.told == ["NEW a"]
    seen.advance(START + 15 * MINUTE)
    assert seen.told == ["NEW a", "RESOLVED a"]
    seen.see(at=START + 2 * HOUR)
    assert seen.told == ["NEW a", "RESOLVED a", "BACK a"]
    assert (seen.states[_A]["count"], seen.states[_A]["firingSince"]) == (2, START + 2 * HOUR)


def test_silence_that_is_only_noticed_with_the_next_occurrence_ends_the_same_way() -> None:
    seen = Seen()
    seen.see()
    seen.see(at=START + 2 * HOUR)
    assert seen.told == ["NEW a", "RESOLVED a", "BACK a"]


def test_a_problem_that_was_not_seen_for_known_for_is_new_again() -> None:
    seen = Seen()
    seen.see()
    seen.see(at=START + 23 * HOUR)
    seen.see(at=START + 47 * HOUR - 1)
    assert seen.told.count("NEW a") == 1
    seen.advance(START + 71 * HOUR)
    assert seen.states == {}
    seen.see(at=START + 72 * HOUR)
    assert seen.told[-1] == "NEW a"
    assert seen.states[_A]["count"] == 1


def test_a_problem_that_is_forgotten_was_written_as_quiet_before() -> None:
    """Whoever keeps the last state, as Elasticsearch does, is not left with one that fires."""
    seen = Seen()
    seen.see()
    seen.advance(START + 25 * HOUR)
    quiet, forgotten = seen.written[-2:]
    assert quiet
    assert (quiet["status"], forgotten) == ("QUIET", None)


def test_a_problem_that_comes_back_as_it_is_forgotten_is_written_last() -> None:
    seen = Seen()
    seen.see()
    seen.see(at=START + 25 * HOUR)
    assert [None if one is None else one["status"] for one in seen.written[-3:]] == ["QUIET", None, "FIRING"]


def test_a_version_grows_beyond_those_of_a_problem_that_was_forgotten() -> None:
    seen = Seen()
    for number in range(5):
        seen.see(at=START, trace=number)
    before = seen.states[_A]["version"]
    seen.advance(START + 24 * HOUR)
    seen.see(at=START + 25 * HOUR)
    assert seen.states[_A]["version"] > before


def test_a_rate_over_the_threshold_alerts_once_until_it_has_fallen() -> None:
    seen = Seen(a=Rule(threshold=Threshold(10, MINUTE)))
    start = START - START % MINUTE
    for number in range(9):
        seen.see(at=start + number * SECOND, trace=number)
    assert seen.told == ["NEW a"]
    for number in range(9, 40):
        seen.see(at=start + number * SECOND, trace=number)
    assert seen.told == ["NEW a", "RATE a"]
    seen.see(at=start + 5 * MINUTE)  # alone in its minute
    for number in range(20):
        seen.see(at=start + 6 * MINUTE + number * SECOND, trace=number)
    assert seen.told == ["NEW a", "RATE a", "RATE a"]


def test_a_rate_is_of_stream_time_so_that_catching_up_makes_none() -> None:
    seen = Seen(a=Rule(threshold=Threshold(10, MINUTE)))
    for number in range(60):
        seen.see(at=START + HOUR, time=START + number * MINUTE, trace=number)
    assert seen.told == ["NEW a"]


def test_one_that_is_read_late_makes_no_rate_of_what_was_before_it() -> None:
    seen = Seen(a=Rule(threshold=Threshold(12, MINUTE)))
    start = START - START % MINUTE
    for number in range(10):
        seen.see(at=start + number * 12 * SECOND, trace=number)
    seen.see(at=start + 2 * MINUTE - SECOND, time=start - HOUR, trace=11)
    assert seen.told == ["NEW a"]


def test_a_clock_that_was_wrong_for_a_moment_silences_nobody() -> None:
    seen = Seen()
    seen.see()
    seen.advance(START + 48 * HOUR)
    seen.see(_B, at=START + SECOND)
    seen.advance(START + MINUTE)
    assert seen.told == ["NEW a", "RESOLVED a", "NEW b"]
    again = Seen(states=seen.states.values())
    again.see("c" * 16, at=START + 2 * MINUTE)
    assert again.told == ["NEW c"]


def test_catching_up_is_no_silence() -> None:
    """Occurrences that lie hours apart by their own times arrive within a second of each other."""
    seen = Seen()
    for number in range(10):
        seen.see(at=START + number, time=START - (10 - number) * HOUR, trace=number)
    assert seen.told == ["NEW a"]


def test_a_workers_absence_is_no_silence() -> None:
    """What erred all the while arrives hours later."""
    seen = Seen()
    seen.see()
    for minute in range(1, 120):
        seen.see(at=START + 2 * HOUR, time=START + minute * MINUTE, trace=minute)
    assert seen.told == ["NEW a"]


def test_what_happened_before_known_for_is_counted_and_calls_nobody() -> None:
    seen = Seen()
    seen.see(at=START, time=START - 25 * HOUR)
    assert seen.told == []
    assert (seen.states[_A]["status"], seen.states[_A]["count"]) == ("QUIET", 1)
    seen.see(at=START + 1, time=START)
    assert seen.told == ["NEW a"]


def test_a_muted_problem_is_silent_and_new_at_its_first_occurrence_afterwards() -> None:
    seen = Seen(a=Rule(muted_until=START + HOUR, threshold=Threshold(2, MINUTE)))
    for minute in range(59):
        seen.see(at=START + minute * MINUTE, trace=minute)
    assert seen.told == []
    assert seen.states[_A]["muted"]
    seen.see(at=START + HOUR)
    assert seen.told == ["NEW a"]
    assert not seen.states[_A]["muted"]


def test_a_problem_that_is_muted_while_it_fires_is_still_resolved() -> None:
    seen = Seen()
    seen.see()
    seen.rules[_A] = Rule(muted_until=START + HOUR)
    seen.see(at=START + MINUTE)
    seen.advance(START + 16 * MINUTE)
    assert seen.told == ["NEW a", "RESOLVED a"]


def test_a_problem_that_was_muted_throughout_ends_in_silence() -> None:
    seen = Seen(a=Rule(muted_until=START + HOUR))
    seen.see()
    seen.advance(START + 16 * MINUTE)
    assert seen.told == []
    assert seen.states[_A]["status"] == "QUIET"


def test_more_problems_than_may_be_known_forget_the_one_seen_least_lately() -> None:
    seen = Seen(ProblemLimits(most=2))
    for number, name in enumerate("abcabd"):
        seen.see(name * 16, at=START + number)
    # c made a go, which came again and made b go, and so on: each is told over before it is forgotten.
    assert set(seen.states) == {"b" * 16, "d" * 16}
    assert seen.told.count("RESOLVED a") == seen.told.count("NEW a") == 2


def test_the_slowest_and_the_newest_traces_are_its_samples() -> None:
    seen = Seen()
    for number, duration in enumerate([5, 900, 7, 8, 9, 10, 11]):
        seen.problems.observe(occurrence(_A, START + number, number, duration), START + number)
        seen.take_note()
    state = seen.states[_A]
    assert state["slowest"]
    assert state["slowest"]["duration"] == 900
    assert [sample["duration"] for sample in state["newest"]] == [11, 10, 9, 8, 7]


def _steps() -> st.SearchStrategy[list[tuple[str, int, int]]]:
    """Which problem, after how long, and how much earlier its trace was closed."""
    gap = st.sampled_from([0, SECOND, MINUTE, 20 * MINUTE, 25 * HOUR])
    return st.lists(st.tuples(st.sampled_from("abc"), gap, st.sampled_from([0, MINUTE, HOUR])), max_size=30)


@given(_steps(), st.data())
def test_a_restart_at_any_moment_changes_nothing_that_is_told(
    steps: list[tuple[str, int, int]], data: st.DataObject
) -> None:
    """The states are all that is kept: the next owner goes on from them as if nothing had happened.

    Problems that become quiet in the same moment are told in any order.
    """
    rule = Rule(threshold=Threshold(3, MINUTE))
    whole, broken = Seen(a=rule), Seen(a=rule)
    at = START
    for number, (name, gap, late) in enumerate(steps):
        at += gap
        whole.see(name * 16, at=at, time=at - late, trace=number)
        if data.draw(st.booleans()):
            broken.problems = Problems(matching(broken.rules), _LIMITS, broken.states.values())
        broken.see(name * 16, at=at, time=at - late, trace=number)
    for name in "abc":
        assert [one for one in broken.told if one.endswith(name)] == [one for one in whole.told if one.endswith(name)]
    assert broken.states == whole.states


@given(_steps())
def test_every_problem_is_told_new_before_anything_else_and_each_end_is_told_once(
    steps: list[tuple[str, int, int]],
) -> None:
    seen = Seen()
    at = START
    for number, (name, gap, _) in enumerate(steps):
        at += gap
        seen.see(name * 16, at=at, trace=number)
    for name in "abc":
        told = [one.split()[0] for one in seen.told if one.endswith(name)]
        expected = iter(told)
        for event in expected:
            assert event in {"NEW", "BACK"}
            assert next(expected, "RESOLVED") == "RESOLVED"
        assert told[:1] in ([], ["NEW"])


@pytest.mark.parametrize("gap", [1, 15 * MINUTE - 1])
def test_a_problem_that_keeps_coming_is_never_resolved(gap: int) -> None:
    seen = Seen()
    for number in range(20):
        seen.see(at=START + number * gap, trace=number)
        seen.advance(START + number * gap)
    assert seen.told == ["NEW a"]
