"""Decides which alerts to send to Alertmanager: the newest state of each problem, refreshed while it fires.

Pure: time is an argument. Alertmanager identifies an alert by its labels alone. So the last notification of each
problem is remembered: the same labels are used again, and an alert whose labels were replaced is resolved.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.model.problems import Event, Problem
from sinks.alerting import alert_text
from sinks.alerting.alert_text import cut
from sinks.base.contract import Batch, Outcome, ProblemState, RaisedAlert, Report
from sinks.base.links import Links
from sinks.base.times import iso, moment

ALERT_NAME = "TracelinkProblem"
Posted = dict[str, Any]
"""An alert as `POST /api/v2/alerts` takes it."""

_MOST_REMEMBERED = 20_000
_MOST_RULE_LABELS = 20
_LONGEST_VALUE = 200
_LONGEST_NAME = 100
_NO_NAME = re.compile(r"[^A-Za-z0-9_]")


@dataclass(frozen=True, slots=True)
class Notified:
    """The last state of a problem that Alertmanager accepted."""

    version: int
    firing: bool
    labels: Mapping[str, str]
    starts: int
    at: float
    """Time of the notification, in seconds."""


@dataclass(frozen=True, slots=True)
class Due:
    """A notification to post, for one alert or one state of a problem."""

    source: RaisedAlert | ProblemState
    fingerprint: str
    posted: tuple[Posted, ...]
    """The alert; before it, if its labels changed, the replaced alert as resolved."""
    notified: Notified


class Firing:
    """Remembers notifications of a bounded number of problems; forgotten alerts end by themselves."""

    def __init__(self, links: Links, quiet_after: float) -> None:
        self._links = links
        # A firing alert is refreshed this often, and RESOLVED comes well before its end.
        self._every = min(60.0, quiet_after / 2)
        self._ends_after = round(2 * quiet_after * 1000)
        self._notified: OrderedDict[str, Notified] = OrderedDict()

    def due(self, batch: Batch, report: Report, now: float) -> list[Due]:
        """Return the notifications for a batch; counts unneeded alerts and states as not kept.

        Only the last of several alerts of a problem is sent: Alertmanager keeps states and no history.
        """
        found: dict[str, Due] = {}
        for raised in batch.alerts:
            problem = raised.alert["problem"]
            made = self._of_alert(raised, now)
            earlier = found.pop(problem["fingerprint"], None)
            if earlier is not None or made is None:
                report.count("alert", Outcome.NOT_KEPT)
            if made is not None:
                found[problem["fingerprint"]] = made
            elif earlier is not None:
                found[problem["fingerprint"]] = earlier
        states = {state.problem["fingerprint"]: state for state in batch.problems}
        if superseded := len(batch.problems) - len(states):
            report.count("problem", Outcome.NOT_KEPT, superseded)
        for fingerprint, state in states.items():
            due = None if fingerprint in found else self._of_state(state, now)
            if due is None:
                report.count("problem", Outcome.NOT_KEPT)
            else:
                found[fingerprint] = due
        return list(found.values())

    def note(self, due: Due) -> None:
        """Remember a notification that was posted."""
        self._notified[due.fingerprint] = due.notified
        self._notified.move_to_end(due.fingerprint)
        if len(self._notified) > _MOST_REMEMBERED:
            self._notified.popitem(last=False)

    def _of_alert(self, raised: RaisedAlert, now: float) -> Due | None:
        alert = raised.alert
        problem = alert["problem"]
        notified = self._notified.get(problem["fingerprint"])
        # It was read again, and a later state has been sent.
        if notified is not None and problem["version"] < notified.version:
            return None
        if alert["event"] == "RESOLVED":
            return self._make(raised, problem, "RESOLVED", alert["time"], now)
        ends = problem["arrived"] + self._ends_after
        # An alert that is read very late is sent nevertheless; if it is resolved, RESOLVED follows.
        late = ends <= now * 1000
        return self._make(raised, problem, alert["event"], round(now * 1000) + self._ends_after if late else ends, now)

    def _of_state(self, state: ProblemState, now: float) -> Due | None:
        problem = state.problem
        notified = self._notified.get(problem["fingerprint"])
        # Alerts and states come from two topics, without a common order.
        if notified is not None and problem["version"] <= notified.version:
            return None
        if problem["status"] == "QUIET":
            fires = notified is not None and notified.firing
            return self._make(state, problem, "RESOLVED", round(now * 1000), now) if fires else None
        ends = problem["arrived"] + self._ends_after
        fresh = notified is not None and notified.firing and now - notified.at < self._every
        if not problem["announced"] or problem["muted"] or fresh or ends <= now * 1000:
            return None
        return self._make(state, problem, None, ends, now)

    def _make(
        self, source: RaisedAlert | ProblemState, problem: Problem, event: Event | None, ends: int, now: float
    ) -> Due:
        notified = self._notified.get(problem["fingerprint"])
        firing = event != "RESOLVED"
        labels = _labels(problem)
        replaced: tuple[Posted, ...] = ()
        if notified is not None and notified.firing:
            # The service may vary if the fingerprint ignores it; the first one stays.
            if all(notified.labels.get(name) == labels.get(name) for name in {*notified.labels, *labels} - {"service"}):
                labels = dict(notified.labels)
            else:
                end = iso(moment(max(notified.starts, now * 1000)))
                replaced = ({"labels": notified.labels, "startsAt": iso(moment(notified.starts)), "endsAt": end},)
        starts = problem["firingSince"]
        posted = self._posted(problem, event, labels, starts, ends if firing else min(ends, round(now * 1000)))
        state = Notified(problem["version"], firing, labels, starts, now)
        return Due(source, problem["fingerprint"], (*replaced, posted), state)

    def _posted(
        self, problem: Problem, event: Event | None, labels: Mapping[str, str], starts: int, ends: int
    ) -> Posted:
        links = self._links.all(problem)
        shown: Event | None = "RESOLVED" if event == "RESOLVED" else None
        names = {"page": "page_url", "zipkin": "trace_url", "kibana": "logs_url", "runbook": "runbook_url"}
        where = {"operation": problem["operation"], "exception": problem["exception"]}
        source = links.get("page") or links.get("zipkin")
        return {
            "labels": labels,
            "annotations": {
                "summary": alert_text.title(shown, problem),
                "description": alert_text.description(problem),
                **{name: cut(value, _LONGEST_VALUE) for name, value in where.items() if value},
                **{names[name]: url for name, url in links.items()},
            },
            "startsAt": iso(moment(starts)),
            # Clocks differ, and Alertmanager refuses an end before the start.
            "endsAt": iso(moment(max(starts, ends))),
            **({"generatorURL": source} if source else {}),
        }


def _labels(problem: Problem) -> dict[str, str]:
    """Return the labels of a problem's alert, bounded in number and length; they do not vary within a problem."""
    given = sorted((_name(name), value) for name, value in problem["labels"].items())[:_MOST_RULE_LABELS]
    ours = {
        "alertname": ALERT_NAME,
        "fingerprint": problem["fingerprint"],
        "severity": problem["severity"],
        "service": problem["service"],
    }
    values = {**dict(given), **{name: value for name, value in ours.items() if value}}
    return {name: cut(value, _LONGEST_VALUE) for name, value in values.items() if name and value}


def _name(name: str) -> str:
    """Convert a name to a label name that every Alertmanager accepts."""
    plain = _NO_NAME.sub("_", name)[:_LONGEST_NAME]
    return f"_{plain}" if plain[:1].isdecimal() else plain
