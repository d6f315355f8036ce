"""The output of `tracelink errors`: a table once or live, or a JSON object a line."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import click
from rich.console import Group
from rich.live import Live
from rich.text import Text

from pipeline.cli.times import now_ms
from pipeline.model.problems import Problem
from streams.alerts.listing import Listing, ProblemsTopic
from streams.alerts.shown import ago, console, plain, printed, said, severity, table

_COLUMNS = ("", "count", "last seen", "severity", "newest trace", "service", "operation", "error", "services")
_WHOLE = ("", "count", "last seen", "severity", "newest trace")
# What a narrow terminal has room for: where it began and what it said; --json and a wider one have the rest.
_NARROW = ("", "count", "last seen", "service", "operation", "error")
_WIDE = 150
_DRAW_SECONDS = 0.5
# What is not a row on the screen: the table's head, the line under it, the cursor's.
_OTHER_LINES = 6


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which problems to show: those that fire or all, and how many at most."""

    quiet: bool = False
    limit: int | None = None


def problems_table(listing: Listing, wanted: Wanted, now: int, width: int) -> Group:
    """Lay out the problems at a time in milliseconds, and say under them what is not shown."""
    found = listing.shown(quiet=wanted.quiet, limit=wanted.limit)
    columns = _COLUMNS if width >= _WIDE else _NARROW
    rows = [[cells[name] for name in columns] for cells in (_cells(one, now) for one in found)]
    return Group(table(columns, rows, whole=_WHOLE), Text(_footer(listing, len(found), quiet_too=wanted.quiet)))


def print_once(topic: ProblemsTopic, wanted: Wanted) -> None:
    """Print the table of what the topic holds now."""
    topic.read_to_end()
    printed(problems_table(topic.listing, wanted, now_ms(), console().width))


def print_json(topic: ProblemsTopic, wanted: Wanted) -> None:
    """Print a JSON object a problem, a line each, with the fields of the schema."""
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
        return Text("quiet", style="dim")
    return Text("muted", style="dim") if problem["muted"] else Text("● firing", style="red")


def _footer(listing: Listing, shown: int, *, quiet_too: bool) -> str:
    firing, quiet = listing.count()
    words = [f"{firing:,} fire" if firing != 1 else "1 fires"]
    words.append(f"{quiet:,} quiet" + ("" if quiet_too or not quiet else " (--all shows them)"))
    if older := (firing + quiet if quiet_too else firing) - shown:
        words.append(f"{older:,} older not shown")
    return ", ".join(words)
