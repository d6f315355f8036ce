"""A replay at a terminal: its steps, its output, and its end on Ctrl-C."""

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
    """The options of a replay; `commands` are those of the processes that join and write, empty for none."""

    rate: float | None
    as_json: bool
    commands: tuple[tuple[str, ...], ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    again: tuple[str, ...] = ()
    """The flags to resume it with the same options."""

    def resume_command(self, job: str, *more: str) -> str:
        """Return the command that resumes a job."""
        return shlex.join(["tracelink", "replay", "--resume", job, *self.again, *more])


@contextmanager
def replays(settings: JoinSettings) -> Iterator[Replays]:
    """Yield a `Replays` with progress bars that Ctrl-C and SIGTERM stop. Main thread only."""
    stopping = Event()
    with stopping_on_signal(stopping.set), bars() as on_progress:
        yield Replays(settings, stopping, on_progress)


def dry_run_(made: Replays, settings: JoinSettings, asked: Asked, how: How) -> None:
    """Print the estimate of a replay; raises Stopped."""
    plan = made.plan(made.select(asked))
    found = estimate(settings, plan, lambda done, total: made.on_progress("counting", done, total))
    print_estimate(found, plan, how.rate, as_json=how.as_json)


def start(made: Replays, asked: Asked, how: How, job: str | None) -> None:
    """Create a job, and copy it; raises Stopped."""
    _finish(made, *made.create(job or _new_name(), asked), how)


def resume(made: Replays, job: str, how: How) -> None:
    """Copy the rest of a job; raises Stopped."""
    _finish(made, *made.resume(job), how)


def _new_name() -> str:
    """Return a name for a job, unique even among jobs of the same second."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid4().hex[:4]}"


def _finish(made: Replays, stored: Stored, plan: Plan | None, how: How) -> None:
    job = stored.job["name"]
    for note in made.notes:
        click.echo(note, err=True)
    try:
        if how.commands:
            # Another idle gap would make other parts.
            window = {variable_of("idle_gap"): f"{stored.job['gap'] / 1000:g}"}
            copied = made.run(stored, plan, how.rate, Stages(job, how.commands, {**how.environment, **window}))
        else:
            copied = made.copy(stored, plan, how.rate)
    except (Stopped, UserError):
        click.echo(f"To resume it: {how.resume_command(job)}", err=True)
        raise
    print_copied(stored, copied, None if how.commands else how.resume_command(job, "--run"), as_json=how.as_json)
