"""The output of the replay commands: progress, counts, and the list of jobs."""

import json
from collections.abc import Iterable

import click
from rich.console import Console
from rich.filesize import decimal
from rich.table import Column, Table

from pipeline.cli.text import plain
from pipeline.cli.times import shown
from streams.replay.copy import Copied
from streams.replay.estimate import Estimate
from streams.replay.jobs import Stored
from streams.replay.plan import Plan, Selection
from streams.replay.status import JobStatus

_LONGEST = 200


def print_estimate(estimate: Estimate, plan: Plan, rate: float | None, *, as_json: bool) -> None:
    """Print the estimate of a replay."""
    selection, seconds = plan.selection, estimate.seconds(rate)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "from": shown(selection.begin),
                    "to": shown(selection.end),
                    "records": estimate.records,
                    "traces": estimate.traces,
                    "bytes": estimate.size,
                    "read": estimate.read,
                    "cut": plan.cut,
                    "seconds": round(seconds, 1),
                }
            )
        )
        return
    click.echo(
        f"{_range(selection)}: {estimate.records:,} records of {estimate.traces:,} traces, {decimal(estimate.size)}. "
        f"The copy reads {estimate.read:,} messages, which takes about {_duration(seconds)}."
    )
    _print_cut(plan.cut)


def print_copied(stored: Stored, copied: Copied, run: str | None, *, as_json: bool) -> None:
    """Print the numbers of a copy; `run` is the command that joins and writes it, None if that is done."""
    job = stored.job
    if as_json:
        found = {"state": "copied", "records": copied.records, "bytes": copied.size, "through": run is None}
        click.echo(json.dumps(_job(stored) | found))
        return
    click.echo(f"Job {job['name']}: copied {copied.records:,} records, {decimal(copied.size)}.")
    _print_cut(job["cut"])
    if run is None:
        click.echo(f"They are joined and written. To free their space: tracelink replay delete {job['name']}")
    else:
        click.echo(
            f"To join them: tracelink join --replay {job['name']}\n"
            f"To write them: tracelink sink elasticsearch --replay {job['name']}, or sink zipkin\n"
            f"Or both in one command: {run}"
        )


def print_jobs(jobs: Iterable[tuple[Stored, JobStatus]], *, as_json: bool) -> None:
    """Print jobs with their progress."""
    jobs = list(jobs)
    if as_json:
        for stored, status in jobs:
            click.echo(json.dumps(_job(stored) | _status(status)))
        return
    if not jobs:
        click.echo("There are no replay jobs.")
        return
    table = Table(
        Column("job", no_wrap=True), "from", "to", "what", "copied", "joined", "written", box=None, pad_edge=False
    )
    for stored, status in jobs:
        job = stored.job
        written = [f"{one.name.removeprefix('sink-')} {_percent(one.done, one.total)}" for one in status.stages[1:]]
        table.add_row(
            job["name"],
            _moment(job["begin"]),
            _moment(job["end"]),
            plain(job["asked"], _LONGEST),
            _percent(status.copied.read, status.copied.total),
            _percent(status.stages[0].done, status.stages[0].total),
            ", ".join(written) or "-",
        )
    Console(highlight=False).print(table)


def print_status(stored: Stored, status: JobStatus, *, as_json: bool) -> None:
    """Print the progress of one job."""
    if as_json:
        print_jobs([(stored, status)], as_json=True)
        return
    job, copied = stored.job, status.copied
    click.echo(f"{job['name']}: {plain(job['asked'], _LONGEST)}, {_range(stored.selection())}")
    click.echo(
        f"copied   {_percent(copied.read, copied.total)}: {copied.records:,} records, {decimal(copied.size)}, "
        f"of {copied.total:,} messages to read"
    )
    for stage in status.stages:
        running = ", running" if stage.running else ""
        click.echo(f"{stage.name}: {_percent(stage.done, stage.total)}, {stage.done:,} of {stage.total:,}{running}")
    _print_cut(job["cut"])


def _job(stored: Stored) -> dict[str, object]:
    job = stored.job
    return {
        "job": job["name"],
        "created": shown(job["created"]),
        "state": job["state"].lower(),
        "asked": job["asked"],
        "from": shown(job["begin"]),
        "to": shown(job["end"]),
        "traces": job["traces"],
        "partitions": job["numbers"],
        "cut": job["cut"],
    }


def _status(status: JobStatus) -> dict[str, object]:
    copied = status.copied
    return {
        "records": copied.records,
        "bytes": copied.size,
        "read": copied.read,
        "toRead": copied.total,
        "stages": [
            {"stage": one.name, "done": one.done, "total": one.total, "running": one.running} for one in status.stages
        ],
    }


def _print_cut(cut: int) -> None:
    if cut:
        click.echo(
            f"Skipped: {cut:,} traces at the beginning of Kafka's remaining records, because retention may have "
            "deleted their first records.",
            err=True,
        )


def _range(selection: Selection) -> str:
    return f"from {_moment(selection.begin)} to {_moment(selection.end)}"


def _moment(milliseconds: int) -> str:
    return shown(milliseconds) if milliseconds else "the beginning"


def _percent(done: int, total: int) -> str:
    return "100 %" if done >= total else f"{100 * done / total:.1f} %"


def _duration(seconds: float) -> str:
    if seconds < 90:  # noqa: PLR2004 - people count seconds up to here
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"  # noqa: PLR2004 - as above
