"""Progress bars on a terminal's standard error, for what takes long; elsewhere nothing is shown."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

OnProgress = Callable[[str, int, int], None]
"""Takes what goes on, how much of it is done, and of how much; 0 where that is not known."""


class _Rate(ProgressColumn):
    """So many a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s", style="progress.data.speed")


@contextmanager
def bars() -> Iterator[OnProgress]:
    """Give what shows how far the work is: a bar for each thing that goes on."""
    columns = (SpinnerColumn("line"), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    tasks: dict[str, TaskID] = {}
    with Progress(
        *columns, _Rate(), TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as shown:

        def on_progress(what: str, done: int, total: int) -> None:
            if what not in tasks:
                # What was done before is no part of the rate.
                tasks[what] = shown.add_task(what, total=total or None, completed=done)
            shown.update(tasks[what], completed=done, total=total or None)

        yield on_progress
