"""The command `tracelink send`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import settings_options
from pipeline.runtime.signals import INTERRUPTED
from tracelink.settings import KafkaSettings, PublisherSettings

if TYPE_CHECKING:
    from producers.send.send import SendResult


@click.command(short_help="Publish files of spans and logs.")
@click.option(
    "--spans",
    type=click.Path(path_type=Path, allow_dash=True),
    multiple=True,
    metavar="FILE",
    help="JSON of Zipkin (v2 or v1), OTLP or Jaeger: a list, one value a line, or one for the whole file; "
    "plain or compressed; - for standard input. Repeatable.",
)
@click.option(
    "--logs",
    type=click.Path(path_type=Path, allow_dash=True),
    multiple=True,
    metavar="FILE",
    help="Log lines of any common logger, JSON or text; plain or compressed; - for standard input. Repeatable.",
)
@click.option("--skip-invalid", is_flag=True, help="Exit with 0 even if lines were refused.")
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), metavar="N", help="Send at most N records a second."
)
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@settings_options(KafkaSettings)
@settings_options(PublisherSettings, only=("error_http_status", "max_record_bytes"))
@click.pass_context
def send(
    ctx: click.Context,
    /,
    *,
    spans: tuple[Path, ...],
    logs: tuple[Path, ...],
    skip_invalid: bool,
    rate: float | None,
    as_json: bool,
    **settings: str | None,
) -> None:
    """Publish files of spans and log lines to Kafka.

    Files are merged by the times of their records; each file keeps its own order. Log lines have the same ids each time
    a file is sent, so they are stored once; one without a time has that of the line before it, and the first ones that
    of the file. No record is dropped: the command waits while its buffer is full.

    Invalid lines are reported with file and line number; all others are sent. The exit code is 1 if a line was refused
    (without --skip-invalid) or a record was not acknowledged, 2 for wrong usage, 130 after Ctrl-C.

    \b
    Examples:
      tracelink send --spans spans.json --logs app.jsonl.gz
      tracelink send --spans a.json --spans b.json --rate 500
      kubectl logs deploy/cart | tracelink send --logs -
    """
    from producers.send.send import send_files

    if not spans and not logs:
        raise click.UsageError("Give at least one file: --spans FILE or --logs FILE.")
    if [*spans, *logs].count(Path("-")) > 1:
        raise click.UsageError("Standard input can be read only once: give - for one file only.")
    outcome = send_files(spans, logs, PublisherSettings.load(**settings), rate=rate)
    if as_json:
        click.echo(json.dumps(_as_json(outcome)))
    else:
        _print(outcome)
    if outcome.interrupted:
        ctx.exit(INTERRUPTED)
    if outcome.counts.undelivered or (outcome.refused and not skip_invalid):
        ctx.exit(1)


def _as_json(outcome: "SendResult") -> dict[str, object]:
    sent = outcome.counts.sent
    return {
        "spans": sent["span"],
        "logs": sent["log"],
        "unlinked_logs": sent["unlinked_log"],
        "delivered": outcome.counts.delivered,
        "undelivered": outcome.counts.undelivered,
        "refused": outcome.refused,
        "formats": outcome.formats,
        "compressed": outcome.compressed,
        "refusals": [{"place": one.place, "reason": one.reason, "detail": one.detail} for one in outcome.shown],
        "interrupted": outcome.interrupted,
    }


def _print(outcome: "SendResult") -> None:
    counts = outcome.counts
    click.echo(
        f"Sent {counts.sent['span']:,} spans, {counts.sent['log']:,} log lines and "
        f"{counts.sent['unlinked_log']:,} log lines without a trace; Kafka has acknowledged {counts.delivered:,}."
    )
    if outcome.compressed:
        click.echo(f"Decompressed: {', '.join(f'{path} ({name})' for path, name in outcome.compressed.items())}.")
    if outcome.formats:
        read = ", ".join(f"{count:,} in {name}" for name, count in sorted(outcome.formats.items()))
        click.echo(f"Spans in other formats than Zipkin v2: {read}.")
    for why, count in counts.undelivered.items():
        click.echo(f"Not delivered: {count:,} ({why}).", err=True)
    refused = sum(outcome.refused.values())
    if refused:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(outcome.refused.items()))
        click.echo(f"Refused {refused:,}: {reasons}.", err=True)
    for one in outcome.shown:
        click.echo(f"  {one.place}: {one.reason}: {one.detail}", err=True)
    if refused > len(outcome.shown):
        click.echo(f"  … and {refused - len(outcome.shown):,} more", err=True)
    if outcome.interrupted:
        click.echo(
            "Interrupted: the files were not sent completely. You can send them again: log lines are stored once.",
            err=True,
        )
