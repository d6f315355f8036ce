"""Renders the result of a comparison, as a table and as JSON."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from pipeline.cli.times import shown
from sinks.verify.gaps import Gap
from sinks.verify.tally import Counts, Tally
from tracelink.model.records import shown_trace_id

_COLUMNS = (
    ("parts", "parts"), ("spans", "spans"), ("lines", "lines"),
    ("missing_parts", "Elasticsearch\nlacks parts"), ("missing_lines", "\nlines"),
    ("missing_spans", "Zipkin\nlacks spans"),
    ("dead_letters", "dead\nletters"), ("not_kept", "not\nkept"), ("pending", "pending"),
)  # fmt: skip
_MISSING = frozenset({"missing_parts", "missing_lines", "missing_spans"})


def table(tally: Tally, prefix: str, *, everything: bool) -> Table:
    """Return a table by partition and hour, with totals; without `everything` only rows with gaps or dead letters.

    Topics are shown without their common prefix.
    """
    found = Table(box=None, pad_edge=False, show_footer=True)
    found.add_column("partition", "in all", no_wrap=True)
    found.add_column("hour (UTC)", no_wrap=True)
    for name, title in _COLUMNS:
        found.add_column(title, _cell(name, tally.totals), justify="right", vertical="bottom")
    for row in tally.rows():
        if everything or row.counts.wrong:
            hour = datetime.fromtimestamp(row.hour / 1000, UTC)
            found.add_row(
                f"{row.topic.removeprefix(prefix)}[{row.partition}]",
                f"{hour:%Y-%m-%d %H}h",
                *[_cell(name, row.counts) for name, _ in _COLUMNS],
            )
    return found


def as_json(tally: Tally, gaps: Sequence[Gap], commands: Sequence[str], **rest: object) -> dict[str, Any]:
    """Return rows, totals, gaps and commands; times are time specs, counts are by name."""
    return {
        "rows": [
            {"topic": row.topic, "partition": row.partition, "hour": shown(row.hour), **_counts(row.counts)}
            for row in tally.rows()
        ],
        "totals": _counts(tally.totals),
        "holes": [
            {
                "from": shown(gap.begin),
                "to": shown(gap.end),
                "kind": list(gap.stores),
                "trace_ids": [shown_trace_id(one) for one in gap.traces],
                "complete": gap.complete,
                "lines_without_trace": gap.untraced,
                "command": command,
            }
            for gap, command in zip(gaps, commands, strict=True)
        ],
        "commands": list(commands),
        **rest,
    }


def _cell(name: str, counts: Counts) -> str:
    number: int = getattr(counts, name)
    shown_number = f"{number:,}" if number else "-"
    return f"[bold red]{shown_number}[/]" if number and name in _MISSING else shown_number


def _counts(counts: Counts) -> dict[str, int]:
    return {name: getattr(counts, name) for name, _ in _COLUMNS}
