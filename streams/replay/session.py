"""A replay at a terminal: what the command does, what it shows meanwhile, and how it ends on Ctrl-C."""

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event
from uuid import uuid4

import click

from pipeline.cli.progress_bar import bars
from pipeline.runtime.signals import stopping_on_signal
from streams.join.settings import JoinSettings
from streams.replay.estimate import estimate
from streams.replay.jobs import Stored
from streams.replay.plan import Plan
from streams.replay.replay import Asked, Replays
from streams.replay.stages import Stages
from streams.replay.view import print_copied, print_estimate
from streams.worker.sessions import Stopped
from tracelink.errors import UserError
from tracelink.settings import variable_of


@dataclass(frozen=True, slots=True)
class How:
    """How a replay is done; `commands` are those of the processes that join and write, empty for none."""

    rate: float | None
    as_json: bool
    commands: tuple[tuple[str, ...], ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    again: tuple[str, ...] = ()
    """The flags that go on with it in the same way."""

    def go_on(self, job: str, *more: str) -> str:
        """Return the command that goes on with a job."""
        return shlex.join(["tracelink", "replay", "--resume", job, *self.again, *more])


@contextmanager
def replays(settings: JoinSettings) -> Iterator[Replays]:
    """Give what does replays, and shows how far it is; it is told to stop by Ctrl-C and SIGTERM. Main thread only."""
    stopping = Event()
    with stopping_on_signal(stopping.set), bars() as on_progress:
        yield Replays(settings, stopping, on_progress)


def dry_run_(made: Replays, settings: JoinSettings, asked: Asked, how: How) -> None:
    """Count what a replay would copy; raises Stopped."""
    plan = made.plan(made.select(asked))
    found = estimate(settings, plan, lambda done, total: made.on_progress("counting", done, total))
    print_estimate(found, plan, how.rate, as_json=how.as_json)


def start(made: Replays, asked: Asked, how: How, job: str | None) -> None:
    """Make a job, and copy it; raises Stopped."""
    _finish(made, *made.create(job or _new_name(), asked), how)


def resume(made: Replays, job: str, how: How) -> None:
    """Copy what is left of a job; raises Stopped."""
    _finish(made, *made.resume(job), how)


def _new_name() -> str:
    """Return a name for a job that no other has that is begun in this second."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid4().hex[:4]}"


def _finish(made: Replays, stored: Stored, plan: Plan | None, how: How) -> None:
    job = stored.job["name"]
    for note in made.notes:
        click.echo(note, err=True)
    try:
        if how.commands:
            # Windows of another length would be other parts.
            window = {variable_of("idle_gap"): f"{stored.job['gap'] / 1000:g}"}
            copied = made.run(stored, plan, how.rate, Stages(job, how.commands, {**how.environment, **window}))
        else:
            copied = made.copy(stored, plan, how.rate)
    except (Stopped, UserError):
        click.echo(f"To go on with it: {how.go_on(job)}", err=True)
        raise
    print_copied(stored, copied, None if how.commands else how.go_on(job, "--run"), as_json=how.as_json)
