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
from pipeline.kafka.join_windows import as_variables
from pipeline.runtime.signals import stopping_on_signal
from streams.join.settings import JoinSettings
from streams.replay.estimate import estimate
from streams.replay.jobs import Stored, windows_to_join
from streams.replay.plan import Plan
from streams.replay.replay import Asked, NothingSelectedError, Replays
from streams.replay.stages import Stages
from streams.replay.view import print_copied, print_estimate
from streams.worker.sessions import Stopped
from tracelink.errors import UserError


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
def replays(settings: JoinSettings, *, beside: bool) -> Iterator[Replays]:
    """Yield a `Replays` with progress bars that Ctrl-C and SIGTERM stop; `beside` as there. Main thread only."""
    stopping = Event()
    with stopping_on_signal(stopping.set), bars() as on_progress:
        yield Replays(settings, stopping, on_progress, beside=beside)


def dry_run_(made: Replays, settings: JoinSettings, asked: Asked, how: How) -> None:
    """Print the estimate of a replay, one for each job that it makes; raises Stopped."""
    parts = made.split(asked)
    nothing: list[NothingSelectedError] = []
    for one in parts:
        try:
            plan = made.plan(made.select(one))
        except NothingSelectedError as error:
            nothing.append(error)
            continue
        found = estimate(settings, plan, lambda done, total: made.on_progress("counting", done, total))
        print_estimate(found, plan, how.rate, as_json=how.as_json)
    if len(nothing) == len(parts):
        raise nothing[0]


def start(made: Replays, asked: Asked, how: How, job: str | None) -> None:
    """Create a job, or one for each period in which the join had the same windows, and copy them; raises Stopped."""
    name, parts = job or _new_name(), made.split(asked)
    names = [name] if len(parts) == 1 else [f"{name}-{number + 1}" for number in range(len(parts))]
    created: list[tuple[Stored, Plan]] = []
    nothing: list[NothingSelectedError] = []
    for one, its_name in zip(parts, names, strict=True):
        try:
            created.append(made.create(its_name, one))
        except NothingSelectedError as error:
            nothing.append(error)
    if len(nothing) == len(parts):
        raise nothing[0]
    if len(created) > 1:
        click.echo(f"The windows of the join changed in this range, so there are {len(created)} jobs.", err=True)
    for number, (stored, plan) in enumerate(created):
        try:
            _finish(made, stored, plan, how)
        except (Stopped, UserError):
            for later, _ in created[number + 1 :]:
                click.echo(f"Then: {how.resume_command(later.job['name'])}", err=True)
            raise


def resume(made: Replays, job: str, how: How) -> None:
    """Copy the rest of a job; raises Stopped."""
    _finish(made, *made.resume(job), how)


def _new_name() -> str:
    """Return a name for a job, unique even among jobs of the same second."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid4().hex[:4]}"


def _finish(made: Replays, stored: Stored, plan: Plan | None, how: How) -> None:
    job = stored.job["name"]
    while made.notes:
        click.echo(made.notes.pop(0), err=True)
    try:
        if how.commands:
            # Other windows would make other parts.
            windows = as_variables(windows_to_join(stored, made.given))
            copied = made.run(stored, plan, how.rate, Stages(job, how.commands, {**how.environment, **windows}))
        else:
            copied = made.copy(stored, plan, how.rate)
    except (Stopped, UserError):
        click.echo(f"To resume it: {how.resume_command(job)}", err=True)
        raise
    print_copied(stored, copied, None if how.commands else how.resume_command(job, "--run"), as_json=how.as_json)
