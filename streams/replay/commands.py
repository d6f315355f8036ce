"""The command `tracelink replay`."""

import re
from pathlib import Path

import click
from click.core import ParameterSource

from pipeline.cli.options import settings_options
from pipeline.cli.times import HELP, TimeSpec
from pipeline.runtime.signals import INTERRUPTED
from pipeline.settings import JOB_NAME, RECORDED, settings_of, without_credentials
from streams.join.settings import JoinSettings
from tracelink.settings import KafkaSettings, flag_of, variable_of

_ELASTICSEARCH = (
    "elasticsearch_url", "index_prefix", "index_suffix", "index_unit", "keep_share", "keep_slower_than",
    "keep_log_level",
)  # fmt: skip
_SINKS = ("zipkin", "elasticsearch")
# The sinks run in processes of their own; this command only passes their settings on.
_ELASTICSEARCH_SINK, _ZIPKIN_SINK = settings_of("sink-elasticsearch"), settings_of("sink-zipkin")


def _job_name(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.match(JOB_NAME, value):
        raise click.BadParameter(f"{value!r} is not a job name: use letters, digits, - and _, but no - or _ first.")
    return value


@click.group(invoke_without_command=True, short_help="Replay a past time range.")
@click.option("--from", "begin", type=TimeSpec(), metavar="MOMENT", help=f"Begin of the range: {HELP}.")
@click.option("--to", "end", type=TimeSpec(), default="now", metavar="MOMENT", help="End of the range. [default: now]")
@click.option("--trace-id", "ids", multiple=True, metavar="ID", help="Only this trace. Repeatable.")
@click.option(
    "--trace-ids",
    "files",
    type=click.Path(path_type=Path, allow_dash=True),
    multiple=True,
    metavar="FILE",
    help="Only the traces in this file, one id per line; - for standard input. Repeatable.",
)
@click.option("--errored", is_flag=True, help="Only errored traces; the command reads the join's output to find them.")
@click.option(
    "--service",
    "services",
    multiple=True,
    metavar="NAME",
    help="Only traces with records of this service; the command reads the join's output to find them. Repeatable: a "
    "trace must then have records of all of them.",
)
@click.option("--partition", "numbers", type=int, multiple=True, metavar="N", help="Only this partition. Repeatable.")
@click.option(
    "--all-partitions",
    is_flag=True,
    help="Look for selected traces in all partitions, not only in those that their ids map to now: for records from "
    "before partitions were added.",
)
@click.option("--dry-run", is_flag=True, help="Count the records to copy, and copy nothing.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    help="Read at most N records per second, to limit the load on the brokers.",
)
@click.option("--job", metavar="NAME", callback=_job_name, help="Name of the job. [default: made from the time]")
@click.option("--resume", metavar="JOB", help="Resume an interrupted job.")
@click.option(
    "--run", "run_all", is_flag=True, help="Also join and write the copied records, and end when all is done."
)
@click.option(
    "--sink",
    "sinks",
    type=click.Choice(_SINKS),
    multiple=True,
    help="With --run: the sink to run. Repeatable. [default: both]",
)
@click.option("--alerts", is_flag=True, help="With --run: send the errored traces to the live alerts.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@settings_options(KafkaSettings)
@settings_options(JoinSettings, only=("idle_gap", "max_age"), defaults=RECORDED)
@settings_options(_ELASTICSEARCH_SINK, only=_ELASTICSEARCH)
@settings_options(_ZIPKIN_SINK, only=("zipkin_url",))
@click.pass_context
def replay(
    ctx: click.Context,
    /,
    *,
    begin: str | None,
    end: str,
    ids: tuple[str, ...],
    files: tuple[Path, ...],
    errored: bool,
    services: tuple[str, ...],
    numbers: tuple[int, ...],
    all_partitions: bool,
    dry_run: bool,
    rate: float | None,
    job: str | None,
    resume: str | None,
    run_all: bool,
    sinks: tuple[str, ...],
    alerts: bool,
    as_json: bool,
    **flags: str | None,
) -> None:
    """Copy a time range of spans and logs to the topics of a job, which has a join and sinks of its own.

    The range is by broker time, at which records reached Kafka. Each trace with a record in the range is copied whole,
    in both directions up to a pause longer than the join's idle gap. All options that select traces apply together.

    The windows are those of the join in that range, which it has recorded; a range in which they changed becomes one
    job for each of them. Others are refused, unless --index-suffix keeps their documents apart.

    Live processing is not affected. Documents keep their ids: existing documents in Elasticsearch stay as they are,
    and missing ones are written. Alerts are raised only with --alerts.

    Resume an interrupted replay (exit code 130) with --resume JOB. The join and the sinks that --run starts use the
    settings below, and take all others from the environment.

    \b
    Examples:
      tracelink replay --from 2026-11-24T10:00 --to 2026-11-24T11:30 --run
      tracelink replay --from 2h --errored --service checkout --dry-run
      tracelink replay --trace-id 4bf92f3577b34da6a3ce929d0e0e4736 --run --sink zipkin
      tracelink replay --from 6h --run --sink elasticsearch --index-suffix=-fixed
      tracelink replay --from 1d --job yesterday --rate 20000
      tracelink replay --resume yesterday
    """
    if ctx.invoked_subcommand is not None:
        return
    from streams.replay import session
    from streams.replay.replay import Asked
    from streams.replay.session import How
    from streams.replay.trace_selection import parse_keys
    from streams.worker.sessions import Stopped

    narrowed = bool(ids or files or errored or services or numbers or all_partitions)
    has_end = ctx.get_parameter_source("end") is not ParameterSource.DEFAULT
    if resume is not None and (begin is not None or has_end or narrowed or job is not None or dry_run):
        raise click.UsageError("--resume keeps the selection of the job: it cannot be combined with another one.")
    if resume is None and begin is None and not (ids or files):
        raise click.UsageError("Select what to replay: --from MOMENT, or --trace-id ID.")
    if not run_all and (sinks or alerts):
        raise click.UsageError("--sink and --alerts need --run.")
    keys = parse_keys(ids, files) if ids or files else None
    asked = Asked(
        begin, end, keys, errored, frozenset(services), frozenset(numbers) if numbers else None, all_partitions
    )
    settings = JoinSettings.load_own(flags)
    # Report invalid settings of the sinks before anything is copied.
    suffix = getattr(_ELASTICSEARCH_SINK.load_own(flags), "index_suffix", "")
    _ZIPKIN_SINK.load_own(flags)
    given = {name: value for name, value in flags.items() if value is not None}
    how = How(
        rate,
        as_json,
        (("join",), *(("sink", name) for name in sinks or _SINKS)) if run_all else (),
        {variable_of(name): value for name, value in given.items()}
        | ({variable_of("replay_alerts"): "true"} if alerts else {}),
        (
            *(["--run"] if run_all else []),
            *[word for name in sinks for word in ("--sink", name)],
            *(["--alerts"] if alerts else []),
            *[f"{flag_of(name)}={without_credentials(value)}" for name, value in given.items()],
        ),
    )
    try:
        with session.replays(settings, beside=bool(suffix)) as made:
            if dry_run:
                session.dry_run_(made, settings, asked, how)
            elif resume is None:
                session.start(made, asked, how, job)
            else:
                session.resume(made, resume, how)
    except Stopped:
        click.echo("Interrupted.", err=True)
        ctx.exit(INTERRUPTED)


@replay.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line for each job.")
@settings_options(KafkaSettings)
def list_jobs(*, as_json: bool, **flags: str | None) -> None:
    """List the jobs and their progress.

    \b
    Example:
      tracelink replay list
    """
    from pipeline.kafka.admin import connect
    from streams.replay.jobs import Jobs
    from streams.replay.status import Observer
    from streams.replay.view import print_jobs

    settings = JoinSettings.load(**flags)
    observer = Observer(settings, connect(settings))
    print_jobs(((one, observer.status(one)) for one in Jobs(settings).read().values()), as_json=as_json)


@replay.command()
@click.argument("job")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@settings_options(KafkaSettings)
def status(*, job: str, as_json: bool, **flags: str | None) -> None:
    """Show the progress of a job: its copy, its join, its sinks.

    \b
    Example:
      tracelink replay status yesterday
    """
    from pipeline.kafka.admin import connect
    from streams.replay.jobs import Jobs
    from streams.replay.status import Observer
    from streams.replay.view import print_status

    settings = JoinSettings.load(**flags)
    stored = Jobs(settings).get(job)
    print_status(stored, Observer(settings, connect(settings)).status(stored), as_json=as_json)


@replay.command()
@click.argument("job")
@settings_options(KafkaSettings)
def delete(*, job: str, **flags: str | None) -> None:
    """Delete a job with its topics and groups. The documents that its sinks have written stay.

    \b
    Example:
      tracelink replay delete yesterday
    """
    from threading import Event

    from streams.replay.replay import Replays

    deleted = Replays(JoinSettings.load(**flags), Event(), lambda *_: None).delete(job)
    click.echo(f"Deleted the job {job} with {len(deleted)} topics.")
