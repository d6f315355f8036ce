"""Progress bars on standard error, if it is a terminal."""

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
"""Called with the name of a task, the amount done and the total; 0 for an unknown total."""


class _Rate(ProgressColumn):
    """The column with the amount per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s", style="progress.data.speed")


@contextmanager
def bars() -> Iterator[OnProgress]:
    """Yield a callback that shows a progress bar for each task."""
    columns = (SpinnerColumn("line"), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    tasks: dict[str, TaskID] = {}
    with Progress(
        *columns, _Rate(), TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as shown:

        def on_progress(what: str, done: int, total: int) -> None:
            if what not in tasks:
                # Work done before is not part of the rate.
                tasks[what] = shown.add_task(what, total=total or None, completed=done)
            shown.update(tasks[what], completed=done, total=total or None)

        yield on_progress
