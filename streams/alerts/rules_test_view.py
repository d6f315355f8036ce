"""The output of `tracelink rules test`: tables, or one JSON object."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import click
from rich.text import Text

from pipeline.cli.input_file import Refusal
from pipeline.model.problems import Alert
from streams.alerts.rules_test import ProblemReport
from streams.alerts.shown import plain, printed, severity, table

_SHOWN_REFUSALS = 10
_COLUMNS = (
    "count", "fingerprint", "rule", "severity", "muted", "over threshold", "alerts", "service", "operation",
    "exception", "message",
)  # fmt: skip
_WHOLE = ("count", "fingerprint", "rule", "severity", "muted", "over threshold", "alerts")


@dataclass(frozen=True, slots=True)
class RulesReport:
    """The result of a rules test: the numbers of traces and of errored ones, their problems, and invalid lines."""

    traces: int
    errored: int
    unlinked: int
    problems: Sequence[ProblemReport]
    refused: Sequence[Refusal]

    @property
    def alerts(self) -> list[Alert]:
        """All alerts, by time."""
        return sorted((alert for one in self.problems for alert in one.alerts), key=lambda alert: alert["time"])


def print_report(report: RulesReport) -> None:
    """Print the problems, and the alerts that would have been raised."""
    if report.problems:
        printed(table(_COLUMNS, [_row(one) for one in report.problems], whole=_WHOLE))
    events = Counter(alert["event"] for alert in report.alerts)
    raised = ", ".join(f"{count:,} {event}" for event, count in sorted(events.items()))
    click.echo(
        f"Traces: {report.traces:,}, errored: {report.errored:,}. Problems: {len(report.problems):,}. "
        f"Alerts: {raised or 'none'}."
    )
    if report.unlinked:
        click.echo(f"Log lines without a trace id, which are not used: {report.unlinked:,}.")


def print_refused(refused: Sequence[Refusal]) -> None:
    """Print the invalid lines to standard error."""
    if refused:
        click.echo(f"Refused {len(refused):,}:", err=True)
    for one in refused[:_SHOWN_REFUSALS]:
        click.echo(f"  {plain(one.place)}: {plain(one.reason)}: {plain(one.detail)}", err=True)
    if len(refused) > _SHOWN_REFUSALS:
        click.echo(f"  … and {len(refused) - _SHOWN_REFUSALS:,} more", err=True)


def print_json(report: RulesReport) -> None:
    """Print the result as one JSON object: counts, the problems in the form of their topic, and the alerts."""
    click.echo(json.dumps(_json(report)))


def _json(report: RulesReport) -> dict[str, object]:
    return {
        "traces": report.traces,
        "errored": report.errored,
        "unlinkedLogs": report.unlinked,
        "refused": len(report.refused),
        "problems": [
            {
                **one.problem,
                "count": one.count,
                "overThreshold": one.over,
                "alerts": [alert["event"] for alert in one.alerts],
            }
            for one in report.problems
        ],
        "alerts": [
            {"event": alert["event"], "time": alert["time"], "fingerprint": alert["problem"]["fingerprint"]}
            for alert in report.alerts
        ],
    }


def _row(one: ProblemReport) -> Sequence[str | Text]:
    problem = one.problem
    events = Counter(alert["event"] for alert in one.alerts)
    over = "" if one.over is None else ("yes" if one.over else "no")
    return (
        f"{one.count:,}",
        problem["fingerprint"],
        plain(problem["rule"]) or "-",
        severity(problem["severity"]),
        "yes" if problem["muted"] else "no",
        over or "-",
        ", ".join(event if count == 1 else f"{event} x{count}" for event, count in events.items()) or "none",
        plain(problem["service"]),
        plain(problem["operation"]),
        plain(problem["exception"]),
        plain(problem["message"]),
    )
