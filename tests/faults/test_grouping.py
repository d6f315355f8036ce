"""The checks of problems and alerts: each sees what it is there for."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from pipeline.model.problems import ALERT, OCCURRENCE, PROBLEM
from streams.alerts.problems import ProblemLimits, Problems
from streams.alerts.rule import Rule
from tests.faults.grouping import grouped_once
from tests.faults.outcome import Outcome, Stored
from tests.kit.problem_examples import START, matching, occurrence


def undisturbed() -> Outcome:
    """Make what two problems of three and of one errored trace leave behind."""
    errors, states, alerts, traces = [], [], [], []
    problems = Problems(matching({"": Rule()}), ProblemLimits())
    for number, fingerprint in enumerate(["a" * 16, "b" * 16, "a" * 16, "a" * 16]):
        one = occurrence(fingerprint, START + number, number)
        key = one["traceId"].hex().encode()
        traces.append(Stored("error-traces", 0, number, 0, key, b""))
        errors.append(Stored("errors", 0, number, 0, fingerprint.encode(), OCCURRENCE.encode(one)))
        problems.observe(one, START + number)
        changes = problems.drain()
        states += [PROBLEM.encode(state) for _, state in changes.states() if state]
        alerts += [ALERT.encode(alert) for alert in changes.alerts]
    return Outcome(
        spans=[],
        logs=[],
        unlinked_logs=[],
        traces=[],
        error_traces=traces,
        errors=errors,
        problems=[Stored("problems", 0, at, 0, None, state) for at, state in enumerate(states)],
        alerts=[Stored("alerts", 0, at, 0, None, alert) for at, alert in enumerate(alerts)],
        dead_letters=[],
        lines=[],
        parts=[],
        zipkin=[],
    )


def failing(outcome: Outcome) -> set[str]:
    return {check.name for check in grouped_once(outcome) if not check.ok}


def test_an_undisturbed_run_passes() -> None:
    assert failing(undisturbed()) == set()


@pytest.mark.parametrize(
    ("spoil", "seen"),
    [
        (lambda run: replace(run, errors=run.errors[1:]), {"each errored trace is one occurrence"}),
        (lambda run: replace(run, errors=[*run.errors, run.errors[0]]), {"each errored trace is one occurrence"}),
        (lambda run: replace(run, problems=run.problems[:-1]), set()),
        (lambda run: replace(run, alerts=run.alerts[1:]), {"each problem alerts once, as new"}),
        (lambda run: replace(run, alerts=[*run.alerts, run.alerts[0]]), {"each problem alerts once, as new"}),
    ],
)
def test_each_check_sees_what_it_is_there_for(spoil: Callable[[Outcome], Outcome], seen: set[str]) -> None:
    miscounted = {"each occurrence is counted once"}
    assert failing(spoil(undisturbed())) - miscounted == seen


def test_an_occurrence_that_is_not_counted_or_twice_is_seen() -> None:
    run = undisturbed()
    assert failing(replace(run, problems=run.problems[:-1])) == {"each occurrence is counted once"}
    again = replace(run.problems[0], offset=len(run.problems))
    assert failing(replace(run, problems=[*run.problems, again])) == {"each occurrence is counted once"}
