"""The command `tracelink verify`.

The clients are imported where they are used: `--help` needs none of them.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import settings_options
from pipeline.cli.times import HELP, TimeSpec, now_ms, shown
from pipeline.settings import ElasticsearchAccess, WindowSettings, ZipkinAccess, names_of, without_credentials
from sinks.elasticsearch.settings import ElasticsearchSettings
from sinks.zipkin.settings import ZipkinSettings
from tracelink.errors import UserError
from tracelink.model.records import shown_trace_id
from tracelink.settings import flag_of

if TYPE_CHECKING:
    from sinks.verify.gaps import Gap
    from sinks.verify.run import Verified

_DOCUMENTS = (
    "index_suffix", "index_unit", "keep_log_level", "keep_share", "keep_slower_than", "sink_group", "request_timeout",
)  # fmt: skip
# What leads a replay to the same servers and the same documents.
_REPEATED = (
    "kafka_bootstrap_servers", "kafka_config_file", "topic_prefix", "idle_gap", "max_age", "elasticsearch_url",
    "index_prefix", "index_suffix", "index_unit", "keep_log_level", "keep_share", "keep_slower_than", "zipkin_url",
)  # fmt: skip


@click.command(short_help="Find what the stores lack, and the replay that fills it.")
@click.option("--from", "begin", type=TimeSpec(), default="1h", show_default=True, help=f"Begin: {HELP}.")
@click.option("--to", "end", type=TimeSpec(), default="now", show_default=True, help="End, in the same ways.")
@click.option("--only", type=click.Choice(["elasticsearch", "zipkin"]), help="Ask one store alone.")
@click.option("--all", "everything", is_flag=True, help="Show all partitions and hours, not only those with holes.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: rows, totals, holes, commands.")
@click.option(
    "--missing",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write the ids of traces with holes to; where they are few among many, the replay takes only those.",
)
@settings_options(WindowSettings)
@settings_options(ElasticsearchAccess)
@settings_options(ElasticsearchSettings, only=_DOCUMENTS)
@settings_options(ZipkinAccess)
def verify(
    *,
    begin: str,
    end: str,
    only: str | None,
    everything: bool,
    as_json: bool,
    missing: Path | None,
    **flags: str | None,
) -> None:
    """Compare what the join has put out with what Elasticsearch and Zipkin hold, by ids, and name the holes.

    For each partition and hour it counts the parts of traces, spans and log lines in Kafka, and what of them the stores
    lack: not what is in the dead letters, what the keep policy leaves out, or what the sinks have still to come to. At
    the end stands the replay that fills the holes. Give the sinks' own settings: where those of the two differ, ask for
    one store after the other with --only. Ends with 1 where there are holes.

    \b
    Examples:
      tracelink verify
      tracelink verify --from 2026-11-24T12:00 --to 2026-11-24T14:00 --all
      tracelink verify --from 2d --only zipkin --keep-share 0.1
      tracelink verify --from 1d --missing missing.txt
      tracelink verify --from 6h --json | jq -r .commands[]
    """
    from sinks.verify.gaps import command

    window = WindowSettings.load_own(flags)
    found, first, last = _compare(window, begin, end, only, flags)
    gaps = found.gaps.ranges()
    if missing is not None:
        _write_ids(missing, gaps)
    given = [
        f"{flag_of(name)}={without_credentials(value)}" for name in _REPEATED if (value := flags[name]) is not None
    ]
    commands = [command(gap, given, str(missing) if missing else None) for gap in gaps]
    _note(found, first, last)
    if as_json:
        _print_json(found, gaps, commands)
    else:
        _print(found, gaps, commands, names_of(window).prefix, everything=everything, ids=missing is not None)
    if gaps:
        raise SystemExit(1)


def _compare(
    window: WindowSettings, begin: str, end: str, only: str | None, flags: dict[str, str | None]
) -> "tuple[Verified, int, int]":
    """Return what was found, and the stretch of time in milliseconds."""
    from pipeline.cli.progress_bar import bars
    from pipeline.cli.times import milliseconds_of
    from pipeline.kafka.admin import connect
    from pipeline.kafka.offsets import OffsetLookup
    from sinks.verify.run import AllSettings
    from sinks.verify.run import verify as compare

    settings = AllSettings(window, ElasticsearchSettings.load_own(flags), ZipkinSettings.load_own(flags))
    admin = connect(settings.join)
    now = now_ms()
    first, last = (milliseconds_of(text, now, settings.join, OffsetLookup(admin)) for text in (begin, end))
    if first >= last:
        raise UserError(f"--from ({shown(first)}) is not before --to ({shown(last)}).")
    with bars() as on_progress:
        found = compare(
            settings, admin, first, last, only=only, on_progress=lambda *done: on_progress("comparing", *done)
        )
        return found, first, last


def _write_ids(path: Path, gaps: "list[Gap]") -> None:
    ids = sorted({shown_trace_id(one) for gap in gaps for one in gap.traces})
    try:
        path.write_text("".join(f"{one}\n" for one in ids), encoding="ascii")
    except OSError as error:
        raise UserError(f"--missing: cannot write {str(path)!r} ({error}).") from None


def _note(found: "Verified", first: int, last: int) -> None:
    """Say what cannot be told."""
    if found.available_since is not None and found.available_since > first:
        since = (
            "nothing of this can be verified" if found.available_since >= last else "nothing before it can be verified"
        )
        click.echo(
            f"The join's output before {shown(found.available_since)} has been deleted: {since}. Where the inputs "
            f"reach further back, `tracelink replay --from {shown(first)}` joins them again.",
            err=True,
        )
    if found.unseen:
        click.echo(
            f"Zipkin does not show more than 10,000 spans of a trace: whether it has {found.unseen:,} spans of larger "
            "ones is not known.",
            err=True,
        )


def _print_json(found: "Verified", gaps: "list[Gap]", commands: list[str]) -> None:
    from sinks.verify.view import as_json

    available_since = None if found.available_since is None else shown(found.available_since)
    click.echo(json.dumps(as_json(found.tally, gaps, commands, available_since=available_since, unseen=found.unseen)))


def _print(
    found: "Verified", gaps: "list[Gap]", commands: list[str], prefix: str, *, everything: bool, ids: bool
) -> None:
    from rich.console import Console

    from sinks.verify.view import table

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=200)
    console.print(table(found.tally, prefix, everything=everything))
    if not gaps:
        click.echo("No holes.")
        return
    partial = sum(gap.partial for gap in gaps)
    if partial and not ids:
        click.echo("Few of the traces there have holes: with --missing FILE the replay takes only those.")
    click.echo("To fill the holes:")
    for one in commands:
        click.echo(f"  {one}")
