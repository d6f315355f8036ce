"""The output of `tracelink errors`: a table once or live, or a JSON object a line."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import click
from rich.console import Group
from rich.live import Live
from rich.text import Text

from pipeline.cli.times import now_ms
from pipeline.kafka.problem_topic import Listing, ProblemsTopic
from pipeline.model.problems import Problem
from streams.alerts.shown import ago, console, plain, printed, said, severity, table

_COLUMNS = ("", "count", "last seen", "severity", "newest trace", "service", "operation", "error", "services")
_WHOLE = ("", "count", "last seen", "severity", "newest trace")
# The columns for a narrow terminal: where the error began, and its message. A wider one and --json show the rest.
_NARROW = ("", "count", "last seen", "service", "operation", "error")
_WIDE = 150
_DRAW_SECONDS = 0.5
# Lines on the screen besides rows: the table's head, the footer, the cursor's line.
_OTHER_LINES = 6


@dataclass(frozen=True, slots=True)
class Wanted:
    """The problems to show: only firing ones or also resolved ones (`quiet`), and at most how many."""

    quiet: bool = False
    limit: int | None = None


def problems_table(listing: Listing, wanted: Wanted, now: int, width: int) -> Group:
    """Return the table of problems at a time in milliseconds, with counts of hidden ones under it."""
    found = listing.shown(quiet=wanted.quiet, limit=wanted.limit)
    columns = _COLUMNS if width >= _WIDE else _NARROW
    rows = [[cells[name] for name in columns] for cells in (_cells(one, now) for one in found)]
    return Group(table(columns, rows, whole=_WHOLE), Text(_footer(listing, len(found), quiet_too=wanted.quiet)))


def print_once(topic: ProblemsTopic, wanted: Wanted) -> None:
    """Print the table of the problems in the topic now."""
    topic.read_to_end()
    printed(problems_table(topic.listing, wanted, now_ms(), console().width))


def print_json(topic: ProblemsTopic, wanted: Wanted) -> None:
    """Print one JSON object per line for each problem, with the fields of the schema."""
    topic.read_to_end()
    for problem in topic.listing.shown(quiet=wanted.quiet, limit=wanted.limit):
        click.echo(json.dumps(problem))


def watch(topic: ProblemsTopic, wanted: Wanted) -> None:
    """Show the table and keep it up to date, until Ctrl-C."""
    out = console()
    with Live(console=out, auto_refresh=False) as live:
        while True:
            topic.poll(_DRAW_SECONDS)
            fitting = max(1, out.height - _OTHER_LINES)
            limit = fitting if wanted.limit is None else min(fitting, wanted.limit)
            shown = problems_table(topic.listing, Wanted(wanted.quiet, limit), now_ms(), out.width)
            live.update(shown, refresh=True)


def _cells(problem: Problem, now: int) -> Mapping[str, str | Text]:
    newest = problem["newest"][:1]
    return {
        "": _mark(problem),
        "count": f"{problem['count']:,}",
        "last seen": ago(problem["lastSeen"], now),
        "severity": severity(problem["severity"]),
        "newest trace": plain(newest[0]["traceId"]) if newest else "",
        "service": plain(problem["service"]),
        "operation": plain(problem["operation"]),
        "error": said(problem["exception"], problem["message"]),
        "services": plain(", ".join(problem["services"])),
    }


def _mark(problem: Problem) -> Text:
    if problem["status"] == "QUIET":
        return Text("resolved", style="dim")
    return Text("muted", style="dim") if problem["muted"] else Text("● firing", style="red")


def _footer(listing: Listing, shown: int, *, quiet_too: bool) -> str:
    firing, quiet = listing.count()
    words = [f"{firing:,} firing"]
    words.append(f"{quiet:,} resolved" + ("" if quiet_too or not quiet else " (--all shows them)"))
    if older := (firing + quiet if quiet_too else firing) - shown:
        words.append(f"{older:,} older not shown")
    return ", ".join(words)
