"""The problems of one partition: which are new, which are back, which come too often, which are over.

Pure: no I/O and no clock. What is told depends only on the occurrences, in their order, and on the times at which
nothing more was on its way. Two clocks are told apart: stream time, at which a trace erred, is shown and makes the
rate; what is quiet is so by it and by the time of arrival in the topic of errors. So neither catching up, when much
arrives at once, nor a worker's absence, when nothing arrives, is a silence.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple, Protocol

from pipeline.model.problems import Alert, Event, Occurrence, Problem, RootCause, Sample
from streams.alerts.rule import Rule
from tracelink.model.records import shown_trace_id

_NEWEST = 5
_MOST_SERVICES = 50
_RATE_WINDOW = 60_000
# Below this share of the threshold a rate may pass it again.
_REARM = 0.5
_US_PER_MS = 1000


class Match(Protocol):
    """Tells which rule holds for a problem."""

    def __call__(self, origin: RootCause, fingerprint: str) -> Rule:
        """Return the rule, or the defaults."""


@dataclass(frozen=True, slots=True)
class ProblemLimits:
    """How long problems are remembered, in milliseconds, and how many."""

    known_for: int = 86_400_000
    quiet_after: int = 900_000
    most: int = 2_000


@dataclass(slots=True)
class Changes:
    """What is to be written, since it was asked for last."""

    problems: dict[str, list[Problem | None]] = field(default_factory=dict)
    """Of each that has changed its newest state, or None where it was forgotten: behind its last state, and before a
    new one, for those who read both."""
    alerts: list[Alert] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.problems or self.alerts)

    def states(self) -> Iterator[tuple[str, Problem | None]]:
        """Yield what is to be written under each fingerprint, in its order."""
        return ((fingerprint, state) for fingerprint, noted in self.problems.items() for state in noted)


class Problems:
    """The problems of one partition, from the states that were written last."""

    def __init__(self, match: Match, limits: ProblemLimits, states: Iterable[Problem] = ()) -> None:
        self._match = match
        self._limits = limits
        # Both in the order in which they were seen last: what is due is at the front.
        self._firing: OrderedDict[str, Problem] = OrderedDict()
        self._quiet: OrderedDict[str, Problem] = OrderedDict()
        self._changes = Changes()
        # The latest arrival, by the broker's clock. A worker's own clock, which may be wrong for a while, is not kept.
        self._arrived = 0
        for state in sorted(states, key=lambda one: one["arrived"]):
            self._hold(state)
            self._arrived = max(self._arrived, state["arrived"])

    def __len__(self) -> int:
        return len(self._firing) + len(self._quiet)

    def __iter__(self) -> Iterator[Problem]:
        return chain(self._firing.values(), self._quiet.values())

    @property
    def firing(self) -> int:
        """How many fire now."""
        return len(self._firing)

    def observe(self, occurrence: Occurrence, arrived: int) -> None:
        """Take an occurrence in, in the order of the topic; `arrived` is when it reached that."""
        now = self._arrived = max(self._arrived, arrived)
        self._lapse(occurrence, now)
        before = self._firing.pop(occurrence["fingerprint"], None) or self._quiet.pop(occurrence["fingerprint"], None)
        rule = self._match(occurrence, occurrence["fingerprint"])
        muted = rule.muted_until is not None and now < rule.muted_until
        window = rule.threshold.window if rule.threshold else _RATE_WINDOW
        problem = _updated(before, occurrence, rule, now, window)
        problem["muted"] = muted
        # Read late, from before what is known at all: it is counted, and nobody is called.
        stale = now - occurrence["time"] > self._limits.known_for
        if not stale and problem["status"] == "QUIET":
            problem["status"], problem["firingSince"] = "FIRING", occurrence["time"]
        rate = _rate(problem, occurrence["time"], window)
        if problem["overThreshold"] and rule.threshold and rate < rule.threshold.count * _REARM:
            problem["overThreshold"] = False
        event = None if stale or muted else _event(problem, rule, rate)
        if event is not None:
            problem["announced"] = problem["known"] = True
            problem["overThreshold"] = problem["overThreshold"] or event == "RATE"
            self._tell(event, occurrence["time"], now, problem)
        self._hold(problem)
        self._note(problem["fingerprint"], problem)
        while len(self) > self._limits.most:
            self._forget(next(iter(self._quiet or self._firing)))

    def advance(self, now: int) -> None:
        """Let time pass where nothing more is on its way: what was not seen for long is quiet, and later forgotten."""
        now = max(self._arrived, now)
        while self._firing:
            problem = next(iter(self._firing.values()))
            over = problem["arrived"] + self._limits.quiet_after
            if over > now:
                break
            self._resolve(problem, over)
        while self._quiet:
            problem = next(iter(self._quiet.values()))
            if problem["arrived"] + self._limits.known_for > now:
                break
            self._forget(problem["fingerprint"])

    def _lapse(self, occurrence: Occurrence, now: int) -> None:
        """End what had ended before an occurrence; it had not where either clock says that it went on."""
        known = self._firing.get(occurrence["fingerprint"]) or self._quiet.get(occurrence["fingerprint"])
        if known is None:
            return
        silence = min(now - known["arrived"], occurrence["time"] - known["lastSeen"])
        if silence >= self._limits.quiet_after and known["status"] == "FIRING":
            self._resolve(known, known["arrived"] + self._limits.quiet_after)
        if silence >= self._limits.known_for:
            self._forget(known["fingerprint"])

    @property
    def tells(self) -> bool:
        """Whether there is an alert among what is to be written."""
        return bool(self._changes.alerts)

    @property
    def settled(self) -> bool:
        """Whether there is nothing to be written."""
        return not self._changes

    def drain(self) -> Changes:
        """Hand over what is to be written now."""
        changes, self._changes = self._changes, Changes()
        return changes

    def _hold(self, problem: Problem) -> None:
        held = self._firing if problem["status"] == "FIRING" else self._quiet
        held[problem["fingerprint"]] = problem

    def _resolve(self, problem: Problem, at: int) -> None:
        del self._firing[problem["fingerprint"]]
        quiet: Problem = {
            **problem,
            "status": "QUIET",
            "announced": False,
            "overThreshold": False,
            "version": problem["version"] + 1,
        }
        self._hold(quiet)
        self._note(quiet["fingerprint"], quiet)
        if problem["announced"]:
            self._tell("RESOLVED", at, at, quiet)

    def _forget(self, fingerprint: str) -> None:
        if (firing := self._firing.get(fingerprint)) is not None:
            self._resolve(firing, self._arrived)  # whoever was told that it fires is told that it is over
        del self._quiet[fingerprint]
        self._note(fingerprint, None)

    def _note(self, fingerprint: str, problem: Problem | None) -> None:
        noted = self._changes.problems.setdefault(fingerprint, [])
        # A state replaces the one before it, and nothing replaces that a problem was forgotten.
        if noted and noted[-1] is not None and problem is not None:
            noted.pop()
        noted.append(problem)

    def _tell(self, event: Event, time: int, at: int, problem: Problem) -> None:
        self._changes.alerts.append(
            {"id": f"{problem['fingerprint']}-{at}-{event.lower()}", "event": event, "time": time, "problem": problem}
        )


def _event(problem: Problem, rule: Rule, rate: float) -> Event | None:
    """Tell what is to be told of a problem that was just seen, or None."""
    if not problem["announced"]:
        # Nobody has heard of it since it fires: because it has just begun to, or because it was muted.
        return "BACK" if problem["known"] else "NEW"
    if rule.threshold and not problem["overThreshold"] and rate >= rule.threshold.count:
        return "RATE"
    return None


def _rate(problem: Problem, time: int, window: int) -> float:
    """Estimate the occurrences within the last window: all of this one, and of the one before what it still covers."""
    gone = (time - problem["window"]) / window
    # One that is read late is from before the window.
    return problem["inWindow"] + problem["inWindowBefore"] * min(1.0, max(0.0, 1 - gone))


def _updated(before: Problem | None, occurrence: Occurrence, rule: Rule, now: int, window: int) -> Problem:
    """Return the state after an occurrence, as if it told nobody anything."""
    time = occurrence["time"]
    sample: Sample = {
        "traceId": shown_trace_id(occurrence["traceId"]),
        "time": time,
        "duration": occurrence["duration"],
    }
    counted = _counted(before, time, window)
    slowest = before["slowest"] if before else None
    return {
        "fingerprint": occurrence["fingerprint"],
        # Grows also where the problem had been forgotten in between.
        "version": max(before["version"] + 1 if before else 0, now * _US_PER_MS),
        "status": before["status"] if before else "QUIET",
        "announced": before["announced"] if before else False,
        "known": before["known"] if before else False,
        "muted": False,
        "severity": rule.severity,
        "rule": rule.name,
        "labels": rule.labels,
        "runbook": rule.runbook,
        "service": occurrence["service"],
        "operation": occurrence["operation"],
        "exception": occurrence["exception"],
        "message": occurrence["message"],
        "httpStatus": occurrence["httpStatus"],
        "grpcStatus": occurrence["grpcStatus"],
        "peer": occurrence["peer"],
        "logger": occurrence["logger"],
        "tags": occurrence["tags"],
        "services": sorted({*(before["services"] if before else ()), *occurrence["services"]})[:_MOST_SERVICES],
        "root": occurrence["root"],
        "lines": occurrence["lines"],
        "firstSeen": min(before["firstSeen"], time) if before else time,
        "lastSeen": max(before["lastSeen"], time) if before else time,
        "arrived": now,
        "firingSince": before["firingSince"] if before else time,
        "count": before["count"] + 1 if before else 1,
        "window": counted.start,
        "inWindow": counted.now,
        "inWindowBefore": counted.before,
        "overThreshold": before["overThreshold"] if before else False,
        "newest": [sample, *(before["newest"] if before else [])][:_NEWEST],
        "slowest": slowest if slowest and slowest["duration"] >= sample["duration"] else sample,
    }


class _Counted(NamedTuple):
    """Occurrences in a window and in the one before it."""

    start: int
    now: int
    before: int


def _counted(problem: Problem | None, time: int, window: int) -> _Counted:
    """Count an occurrence in the windows; one from before them, read late, makes no rate now."""
    start = time - time % window
    if problem is None or start > problem["window"] + window:
        return _Counted(start, 1, 0)
    if start == problem["window"] + window:
        return _Counted(start, 1, problem["inWindow"])
    if start == problem["window"]:
        return _Counted(start, problem["inWindow"] + 1, problem["inWindowBefore"])
    of_before = start == problem["window"] - window
    return _Counted(problem["window"], problem["inWindow"], problem["inWindowBefore"] + of_before)
