"""Display of the stack's start: live on a terminal, one line per step elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from pipeline.local.events import Downloading, Event, Listener, Ready, Starting, Waiting

_MEGABYTE = 1_000_000


@contextmanager
def showing(console: Console) -> Iterator[Listener]:
    """Yield a listener that shows events while the context lasts."""
    if not console.is_terminal:
        yield _Lines(console)
        return
    columns = (SpinnerColumn(finished_text="[green]✓[/]"), TextColumn("{task.description}"), BarColumn(bar_width=30))
    with Progress(*columns, TextColumn("{task.fields[note]}"), console=console) as progress:
        yield _Live(progress)


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._downloading = False

    def __call__(self, event: Event) -> None:
        match event:
            case Waiting(what):
                self._print(_waiting(what))
            case Downloading() if not self._downloading:
                self._downloading = True
                self._print(f"downloading {event.files} files, {event.bytes / _MEGABYTE:.0f} MB")
            case Downloading() if event.files_done == event.files:
                self._print(f"downloaded {event.files} files")
            case Starting(server):
                self._print(f"{server} starts")
            case Ready(server, seconds):
                self._print(_ready(server, seconds))

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, soft_wrap=True)


class _Live:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._download: TaskID | None = None
        self._starts: dict[str, TaskID] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case Waiting(what):
                self._progress.console.print(_waiting(what), highlight=False)
            case Downloading():
                self._show_download(event)
            case Starting(server):
                self._starts[server] = self._progress.add_task(f"{server} starts", total=None, note="")
            case Ready(server, seconds):
                task = self._starts.get(server)
                if task is None:
                    task = self._progress.add_task("", note="")
                self._progress.update(task, description=_ready(server, seconds), total=1, completed=1)

    def _show_download(self, event: Downloading) -> None:
        if self._download is None:
            self._download = self._progress.add_task("downloading", note="")
        self._progress.update(
            self._download,
            total=event.bytes,
            completed=event.bytes_done,
            note=f"{event.files_done} of {event.files} files, "
            f"{event.bytes_done / _MEGABYTE:.0f} of {event.bytes / _MEGABYTE:.0f} MB, {event.file}",
        )


def _waiting(what: str) -> str:
    return f"waiting for another command that uses {what}"


def _ready(server: str, seconds: float) -> str:
    return f"{server} is ready after {seconds:.1f} s" if seconds else f"{server} is already running"
