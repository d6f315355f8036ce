"""Problems and alerts as the sinks read them, small."""

import uuid
from itertools import count
from typing import cast

from pipeline.model.problems import ALERT, PROBLEM, Alert, Event, Problem
from sinks.base.contract import Batch, ProblemState, RaisedAlert
from tests.kit.sink_examples import START, message

AT = START // 1000
"""2026-01-01T00:00:00Z in milliseconds."""
NOW = AT / 1000
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
ALERTS, PROBLEMS = "alerts", "problems"
_OFFSETS = count()


def new_fingerprint() -> str:
    return uuid.uuid4().hex[:16]


def problem(fingerprint: str = "00f067aa0ba902b7", **fields: object) -> Problem:
    made: dict[str, object] = {
        "fingerprint": fingerprint,
        "version": 1,
        "offset": 7,
        "status": "FIRING",
        "announced": True,
        "known": True,
        "muted": False,
        "severity": "critical",
        "rule": "payments",
        "labels": {"team": "shop"},
        "runbook": "https://runbooks.example.org/payments",
        "service": "payment",
        "operation": "charge",
        "exception": "CardDeclined",
        "message": "the card was declined",
        "httpStatus": "500",
        "grpcStatus": None,
        "peer": None,
        "logger": None,
        "tags": {"http.method": "POST"},
        "services": ["cart", "payment"],
        "root": "cart post /checkout",
        "lines": [{"timestamp": START, "service": "payment", "level": "ERROR", "message": "declined by the bank"}],
        "firstSeen": AT - 1000,
        "lastSeen": AT,
        "arrived": AT,
        "firingSince": AT - 1000,
        "count": 3,
        "window": AT,
        "inWindow": 3,
        "inWindowBefore": 0,
        "overThreshold": False,
        "newest": [{"traceId": TRACE_ID, "time": AT, "duration": 20_000}],
        "slowest": {"traceId": TRACE_ID, "time": AT, "duration": 20_000},
    }
    return cast("Problem", made | fields)


def raised(event: Event = "NEW", fingerprint: str = "00f067aa0ba902b7", **fields: object) -> RaisedAlert:
    """Return an alert; RESOLVED a minute after the others."""
    if event == "RESOLVED":
        fields = {"status": "QUIET", "announced": False, "version": 9} | fields
    time = AT + (60_000 if event == "RESOLVED" else 0)
    about = problem(fingerprint, **fields)
    alert: Alert = {
        "id": f"{fingerprint}-{time}-{event.lower()}",
        "event": event,
        "time": time,
        "problem": about,
    }
    return RaisedAlert(message(ALERT.encode(alert), topic=ALERTS, offset=next(_OFFSETS)), alert)


def state(fingerprint: str = "00f067aa0ba902b7", **fields: object) -> ProblemState:
    made = problem(fingerprint, **fields)
    return ProblemState(message(PROBLEM.encode(made), topic=PROBLEMS, offset=next(_OFFSETS)), made)


def batch(*records: RaisedAlert | ProblemState) -> Batch:
    return Batch(
        alerts=tuple(one for one in records if isinstance(one, RaisedAlert)),
        problems=tuple(one for one in records if isinstance(one, ProblemState)),
    )
