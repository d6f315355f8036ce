"""The command `tracelink verify`.

The clients are imported where they are used: `--help` needs none of them.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import settings_options
from pipeline.cli.times import HELP, TimeSpec, now_ms, shown
from pipeline.settings import RECORDED, ElasticsearchAccess, WindowSettings, ZipkinAccess, names_of, without_credentials
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
# Flags that a replay needs to use the same servers and documents.
_REPEATED = (
    "kafka_bootstrap_servers", "kafka_config_file", "topic_prefix", "idle_gap", "max_age", "elasticsearch_url",
    "index_prefix", "index_suffix", "index_unit", "keep_log_level", "keep_share", "keep_slower_than", "zipkin_url",
)  # fmt: skip


@click.command(short_help="Find gaps in the stores, and the replay that fills them.")
@click.option("--from", "begin", type=TimeSpec(), default="1h", show_default=True, help=f"Begin: {HELP}.")
@click.option("--to", "end", type=TimeSpec(), default="now", show_default=True, help="End, in the same ways.")
@click.option("--only", type=click.Choice(["elasticsearch", "zipkin"]), help="Check only this store.")
@click.option("--all", "everything", is_flag=True, help="Show all partitions and hours, not only those with gaps.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: rows, totals, `holes`, commands.")
@click.option(
    "--missing",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write the ids of traces with gaps to; if they are few among many, the replay selects only these.",
)
@settings_options(WindowSettings, defaults=RECORDED)
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
    """Compare the join's output in Kafka with Elasticsearch and Zipkin, by ids, and list the gaps.

    It counts the parts of traces, spans and log lines in Kafka by partition and hour, and those that a store lacks.
    Dead letters, records that were sampled out, and records that a sink has not read yet are no gaps. At the end it
    prints the replay commands that fill the gaps. Use the settings of the sinks; if the two sinks differ, check one
    store at a time with --only. The exit code is 1 if there are gaps.

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
    """Return the result, and the time range in milliseconds."""
    from pipeline.cli.progress_bar import bars
    from pipeline.cli.times import milliseconds_of
    from pipeline.kafka.admin import connect
    from pipeline.kafka.join_windows import as_settings, given_windows, read_windows, resolved
    from pipeline.kafka.offsets import OffsetLookup
    from pipeline.model.join_windows import periods
    from sinks.verify.run import AllSettings
    from sinks.verify.run import verify as compare

    elasticsearch = ElasticsearchSettings.load_own(flags)
    admin = connect(window)
    now = now_ms()
    first, last = (milliseconds_of(text, now, window, OffsetLookup(admin)) for text in (begin, end))
    if first >= last:
        raise UserError(f"--from ({shown(first)}) is not before --to ({shown(last)}).")
    if window.replay is None:
        ran = periods(read_windows(window), first, last)
        ran = resolved(ran, given_windows(window), beside=bool(elasticsearch.index_suffix))
        longest = max((one.windows for one in ran), key=lambda one: one.max_age + one.idle_gap)
        window = window.model_copy(update=as_settings(longest, WindowSettings.model_fields))
    settings = AllSettings(window, elasticsearch, ZipkinSettings.load_own(flags))
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
    """Print notes about records that could not be verified."""
    if found.available_since is not None and found.available_since > first:
        since = (
            "nothing in the range can be verified"
            if found.available_since >= last
            else "nothing before that can be verified"
        )
        click.echo(
            f"The join's output before {shown(found.available_since)} has been deleted: {since}. If the inputs "
            f"reach further back, `tracelink replay --from {shown(first)}` joins them again.",
            err=True,
        )
    if found.unseen:
        click.echo(
            f"Not verified: {found.unseen:,} spans of large traces. Zipkin shows at most 10,000 spans of a trace.",
            err=True,
        )
    if found.unreadable:
        click.echo(
            f"Not verified: {found.unreadable:,} spans of traces that Zipkin has stored and cannot show. A replay does "
            "not repair them; `tracelink trace ID` shows them from Elasticsearch.",
            err=True,
        )


def _print_json(found: "Verified", gaps: "list[Gap]", commands: list[str]) -> None:
    from sinks.verify.view import as_json

    available_since = None if found.available_since is None else shown(found.available_since)
    result = as_json(found.tally, gaps, commands, available_since=available_since)
    click.echo(json.dumps(result | {"unseen": found.unseen, "unreadable": found.unreadable}))


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
        click.echo("No gaps.")
        return
    partial = sum(gap.partial for gap in gaps)
    if partial and not ids:
        click.echo("Few of the traces there have gaps: with --missing FILE the replay selects only these.")
    click.echo("To fill the gaps:")
    for one in commands:
        click.echo(f"  {one}")
