"""What must hold of problems and alerts after a run: each errored trace is counted once, each problem is told once."""

from collections import Counter

from pipeline.model.problems import ALERT, OCCURRENCE, PROBLEM, Problem
from tests.faults.checks import Check
from tests.faults.outcome import Outcome


def grouped_once(outcome: Outcome) -> list[Check]:
    """Hold the occurrences against the errored traces, and problems and alerts against the occurrences.

    No run is long enough for a problem to be quiet, so every alert is that of a new one.
    """
    occurrences = [OCCURRENCE.decode(stored.value or b"") for stored in outcome.errors]
    of_trace = Counter(one["traceId"].hex() for one in occurrences)
    errored = Counter((stored.key or b"").decode() for stored in outcome.error_traces)
    lost = [f"{trace}: {times} times, {of_trace[trace]} occurrences" for trace, times in (errored - of_trace).items()]
    extra = [f"{trace}: {times} occurrences too many" for trace, times in (of_trace - errored).items()]
    comes = Counter(one["fingerprint"] for one in occurrences)
    counted = {fingerprint: problem["count"] for fingerprint, problem in _newest(outcome).items()}
    miscounted = [
        f"{fingerprint}: {counted.get(fingerprint)} of {times}"
        for fingerprint, times in comes.items()
        if counted.get(fingerprint) != times
    ]
    alerts = [ALERT.decode(stored.value or b"") for stored in outcome.alerts]
    told = Counter((str(alert["event"]), alert["problem"]["fingerprint"]) for alert in alerts)
    wanted = Counter(("NEW", fingerprint) for fingerprint in comes)
    wrong = [f"{' '.join(what)}: {times} times too many" for what, times in (told - wanted).items()]
    wrong += [f"{fingerprint}: no alert" for _, fingerprint in wanted - told]
    return [
        Check("each errored trace is one occurrence", (*lost, *extra), f"{len(occurrences)} occurrences"),
        Check("each occurrence is counted once", tuple(miscounted), f"{len(counted)} problems"),
        Check("each problem alerts once, as new", tuple(wrong), f"{len(alerts)} alerts"),
    ]


def _newest(outcome: Outcome) -> dict[str, Problem]:
    """Return the last state of each problem, in the order of its partition."""
    return {
        problem["fingerprint"]: problem
        for stored in sorted(outcome.problems, key=lambda one: (one.partition, one.offset))
        if stored.value
        for problem in [PROBLEM.decode(stored.value)]
    }
