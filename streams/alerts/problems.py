"""The problems of one partition: new, regressed, too frequent or resolved.

Pure: no I/O and no clock. Alerts depend only on the occurrences, in their order, and on the times at which all inputs
were read to their end. There are two clocks: the stream time of the errored trace, which is shown and used for the
rate, and the arrival time in the topic `errors`. A problem is silent only if both clocks say so. So it is not resolved
while a worker catches up and many occurrences arrive at once, nor while a worker is down and none arrive.

A problem keeps the fingerprint under which it became known, even if a new version of fingerprints has another one for
it: so an upgrade announces no problem again, and resolves none.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple, Protocol

from pipeline.model.problems import Alert, Event, Occurrence, Problem, RootCause, Sample
from streams.alerts.rule import Rule
from tracelink.model.records import shown_trace_id

_NEWEST = 5
_MOST_SERVICES = 50
_RATE_WINDOW = 60_000
# After the rate has fallen below this share of the threshold, crossing it raises an alert again.
_REARM = 0.5
_US_PER_MS = 1000


class Match(Protocol):
    """Finds the rule for a problem."""

    def __call__(self, origin: RootCause, fingerprint: str) -> Rule:
        """Return the rule, or the defaults."""


@dataclass(frozen=True, slots=True)
class ProblemLimits:
    """How long a problem stays known and firing without an occurrence, in milliseconds, and how many are known."""

    known_for: int = 86_400_000
    quiet_after: int = 900_000
    most: int = 2_000


@dataclass(slots=True)
class Changes:
    """The changes to write since the last `drain`."""

    problems: dict[str, list[Problem | None]] = field(default_factory=dict)
    """The newest state of each changed problem by fingerprint, or None if it was forgotten. Such a problem may have its
    last state before the None and a new one after it, for readers of both."""
    alerts: list[Alert] = field(default_factory=list)
    former: frozenset[str] = frozenset()
    """Those of the problems whose fingerprint is of an earlier version."""

    def __bool__(self) -> bool:
        return bool(self.problems or self.alerts)

    def states(self) -> Iterator[tuple[str, Problem | None]]:
        """Yield the records to write as (fingerprint, state), in their order."""
        return ((fingerprint, state) for fingerprint, noted in self.problems.items() for state in noted)


class Problems:
    """The problems of one partition; begins with their last written states.

    `former` are the fingerprints of an earlier version among these.
    """

    def __init__(
        self, match: Match, limits: ProblemLimits, states: Iterable[Problem] = (), former: Collection[str] = ()
    ) -> None:
        self._match = match
        self._limits = limits
        self._former = set(former)
        # Both in the order in which they were last seen: the first is due first.
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
        """The number of firing problems."""
        return len(self._firing)

    def knows(self, occurrence: Occurrence, arrived: int) -> bool:
        """Return True if the problem of an occurrence is known, and would not be forgotten before it is counted."""
        self._arrived = max(self._arrived, arrived)
        self._lapse(occurrence, self._arrived)
        return occurrence["fingerprint"] in self._firing or occurrence["fingerprint"] in self._quiet

    def observe(self, occurrence: Occurrence, arrived: int, *, former: bool = False) -> None:
        """Take in an occurrence, in the order of the topic; `arrived` is its broker time there.

        `former` is True if its fingerprint is of an earlier version.
        """
        now = self._arrived = max(self._arrived, arrived)
        self._lapse(occurrence, now)
        (self._former.add if former else self._former.discard)(occurrence["fingerprint"])
        before = self._firing.pop(occurrence["fingerprint"], None) or self._quiet.pop(occurrence["fingerprint"], None)
        rule = self._match(occurrence, occurrence["fingerprint"])
        muted = rule.muted_until is not None and now < rule.muted_until
        window = rule.threshold.window if rule.threshold else _RATE_WINDOW
        problem = _updated(before, occurrence, rule, now, window)
        problem["muted"] = muted
        # Older than `known_for`, because it was read late: it is counted, but raises no alert.
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
        """Move on to `now` after all inputs were read: resolve silent problems, and later forget them."""
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
        """Resolve or forget a problem that was silent before an occurrence, by both clocks."""
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
        """True if the changes hold an alert."""
        return bool(self._changes.alerts)

    @property
    def settled(self) -> bool:
        """True if there are no changes to write."""
        return not self._changes

    def drain(self) -> Changes:
        """Return the changes since the last call."""
        changes, self._changes = self._changes, Changes()
        changes.former = frozenset(self._former.intersection(changes.problems))
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
            self._resolve(firing, self._arrived)  # its alert was sent, so its end is sent as well
        del self._quiet[fingerprint]
        self._former.discard(fingerprint)
        self._note(fingerprint, None)

    def _note(self, fingerprint: str, problem: Problem | None) -> None:
        noted = self._changes.problems.setdefault(fingerprint, [])
        # A state replaces the one before it; a None stays.
        if noted and noted[-1] is not None and problem is not None:
            noted.pop()
        noted.append(problem)

    def _tell(self, event: Event, time: int, at: int, problem: Problem) -> None:
        self._changes.alerts.append(
            {"id": f"{problem['fingerprint']}-{at}-{event.lower()}", "event": event, "time": time, "problem": problem}
        )


def _event(problem: Problem, rule: Rule, rate: float) -> Event | None:
    """Return the event to alert for a problem that was just seen, or None."""
    if not problem["announced"]:
        # No alert was sent since it began to fire: it has just begun, or it was muted.
        return "BACK" if problem["known"] else "NEW"
    if rule.threshold and not problem["overThreshold"] and rate >= rule.threshold.count:
        return "RATE"
    return None


def _rate(problem: Problem, time: int, window: int) -> float:
    """Estimate the occurrences in a sliding window: all of this window, and the overlapping share of the one before."""
    gone = (time - problem["window"]) / window
    # A late occurrence may be from before the window.
    return problem["inWindow"] + problem["inWindowBefore"] * min(1.0, max(0.0, 1 - gone))


def _updated(before: Problem | None, occurrence: Occurrence, rule: Rule, now: int, window: int) -> Problem:
    """Return the state after an occurrence, before any alert."""
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
        # Grows even if the problem was forgotten in between.
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
    """Count an occurrence in its window; a late one from before both windows does not count for the rate."""
    start = time - time % window
    if problem is None or start > problem["window"] + window:
        return _Counted(start, 1, 0)
    if start == problem["window"] + window:
        return _Counted(start, 1, problem["inWindow"])
    if start == problem["window"]:
        return _Counted(start, problem["inWindow"] + 1, problem["inWindowBefore"])
    of_before = start == problem["window"] - window
    return _Counted(problem["window"], problem["inWindow"], problem["inWindowBefore"] + of_before)
