"""The live view: a table on a terminal or else a periodic line, and each errored trace as it comes."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from producers.demo.figures import Figures

_SECONDS_BETWEEN_LINES = 5.0


def table(figures: Figures) -> Table:
    """Return a table with a row for each process."""
    rows = Table("stage", "in", "out", box=box.SIMPLE, pad_edge=False)
    rows.add_column("lag", justify="right")
    unanswered = f", {figures.unanswered:,} unanswered" if figures.unanswered else ""
    rows.add_row("shop", f"{figures.requests:,} requests", f"{figures.failed:,} failed{unanswered}", "")
    requests, records = f"{figures.gateway_requests:,} requests", f"{figures.gateway_records:,} spans and log lines"
    rows.add_row("gateway", requests, records, "")
    rows.add_row(
        "join",
        f"{figures.spans:,} spans, {figures.logs:,} log lines",
        f"{figures.parts:,} parts of traces, {figures.open_traces:,} open, {figures.errored:,} errored",
        f"{figures.join_lag:,}",
    )
    rows.add_row(
        "alerts",
        _problems(figures),
        ", ".join(f"{count:,} {event.lower()}" for event, count in figures.alerts.items() if count or event == "NEW"),
        f"{figures.alerts_lag:,}",
    )
    for sink in figures.sinks:
        outcomes = ", ".join(
            f"{count:,} {name.replace('_', ' ')}" for name, count in sink.outcomes.items() if count or name == "written"
        )
        rows.add_row(sink.name, "", outcomes, f"{sink.lag:,}")
    letters = Text(f"{figures.dead_letters:,}", style="bold red" if figures.dead_letters else "")
    rows.add_row("dead letters", "", letters, "")
    return rows


def line(figures: Figures) -> str:
    """Return the figures as one line."""
    sinks = "; ".join(f"{sink.name} {sink.outcomes['written']:,} written, lag {sink.lag:,}" for sink in figures.sinks)
    return (
        f"{figures.requests:,} requests, {figures.failed:,} failed; "
        f"{figures.gateway_records:,} records through the gateway; "
        f"{figures.spans:,} spans, {figures.logs:,} log lines; "
        f"{figures.parts:,} parts of traces, {figures.errored:,} errored, lag {figures.join_lag:,}; "
        f"{_problems(figures)}; {sinks}; "
        f"{figures.dead_letters:,} dead letters"
    )


def _problems(figures: Figures) -> str:
    return f"{figures.known_problems:,} problem{'s' * (figures.known_problems != 1)}"


class View:
    """Shows figures and errored traces while its context lasts; `footer` is shown below the table."""

    def __init__(self, console: Console, footer: str) -> None:
        self._console = console
        self._footer = footer
        self._live = Live(console=console, auto_refresh=False, transient=False) if console.is_terminal else None
        self._next_line = 0.0

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, figures: Figures, now: float) -> None:
        """Show the figures; `now` is in seconds of a monotonic clock."""
        if self._live:
            self._live.update(Group(table(figures), Text(self._footer, style="dim")), refresh=True)
        elif now >= self._next_line:
            self._next_line = now + _SECONDS_BETWEEN_LINES
            self.say(line(figures))

    def errored(self, lines: Sequence[str]) -> None:
        """Show an errored trace: its error, then its links."""
        what, *where = lines
        self._console.print(Text(f"✗ {what}", style="bold red"), soft_wrap=True)
        for place in where:
            self.say(f"  {place}")

    def say(self, text: str, style: str = "") -> None:
        """Print a line above the table, not wrapped so that it can be copied."""
        self._console.print(Text(text, style=style), soft_wrap=True)
