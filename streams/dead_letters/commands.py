"""The commands `tracelink dead-letters …`: list, show, redrive, discard."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from pipeline.cli.options import settings_options
from pipeline.cli.times import HELP, TimeSpec
from pipeline.settings import RedactionSettings, ReplayedSettings
from streams.dead_letters.dead_letter import Filters, Name
from tracelink.errors import Reason
from tracelink.settings import KafkaSettings

F = TypeVar("F", bound=Callable[..., Any])

_YES = click.option("--yes", is_flag=True, help="Do not ask; needed for filters and --all without a terminal.")
_JSON_SUMMARY = click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Print the action for each dead letter, and do nothing.")


class _LetterName(click.ParamType):
    name = "letter"

    def convert(self, value: str | Name, param: click.Parameter | None, ctx: click.Context | None) -> Name:
        if isinstance(value, Name):
            return value
        try:
            return Name.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _letter_options(function: F) -> F:
    """Add the names, the filters, and the options for Kafka."""
    for add in reversed(
        (
            click.argument("letters", nargs=-1, type=_LetterName(), metavar="[LETTER]..."),
            click.option(
                "--reason", "reasons", multiple=True, type=click.Choice([str(one) for one in Reason]),
                help="With this reason. Repeatable.",
            ),
            click.option("--sink", metavar="NAME", help="Dead-lettered by this sink."),
            click.option(
                "--from", "since", type=TimeSpec(), metavar="MOMENT",
                help=f"Dead-lettered at this time or later: {HELP}.",
            ),
            click.option("--to", "until", type=TimeSpec(), metavar="MOMENT", help="Dead-lettered before this time."),
            click.option("--topic", metavar="TOPIC", help="From this topic: spans, logs, traces, …"),
            click.option("--partition", type=click.IntRange(min=0), metavar="N", help="From this partition."),
            click.option("--offset", type=click.IntRange(min=0), metavar="N", help="From this offset in it."),
            settings_options(KafkaSettings),
            settings_options(ReplayedSettings, only=("replay",)),
        )
    ):  # fmt: skip
        function = add(function)
    return function


def _take_filters(flags: dict[str, Any]) -> Filters:
    """Remove the filters from a command's flags, and return them."""
    return Filters(**{name: flags.pop(name) for name in Filters._fields})


@click.group("dead-letters", short_help="List, show, redrive and discard dead letters.")
def dead_letters() -> None:
    """List, show, redrive and discard dead letters: records and messages that could not be joined or written.

    A dead letter's name is its PARTITION-OFFSET in the topic dead-letters: 3-17. All commands take names, filters, or
    both. See docs/dead-letters.md.

    \b
    Examples:
      tracelink dead-letters list --from 2h
      tracelink dead-letters show 3-17
      tracelink dead-letters redrive --sink elasticsearch --reason refused
      tracelink dead-letters discard 3-17 3-18
    """


@dead_letters.command("list", short_help="List the open dead letters, the newest last.")
@_letter_options
@click.option("--all", "resolved", is_flag=True, help="Also list redriven and discarded dead letters.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most the N newest.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line for each dead letter.")
@settings_options(RedactionSettings)
def list_letters(*, resolved: bool, limit: int, as_json: bool, **flags: Any) -> None:
    """List the dead letters that were neither redriven nor discarded, the newest last, with counts by reason.

    \b
    Examples:
      tracelink dead-letters list
      tracelink dead-letters list --reason body --reason schema --topic spans --from 2026-11-24T12:00
      tracelink dead-letters list --all --limit 500 --json | jq -r 'select(.sink == "zipkin") | .letter'
    """
    from streams.dead_letters.list_view import list_

    list_(
        ReplayedSettings.load_own(flags),
        RedactionSettings.load_own(flags),
        _take_filters(flags),
        limit,
        resolved=resolved,
        as_json=as_json,
    )


@dead_letters.command(short_help="Show dead letters and their faulty bytes.")
@_letter_options
@click.option("--raw", is_flag=True, help="Show texts unchanged: secrets are not redacted.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the unchanged payload of one dead letter to a file; needs --raw.",
)
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most the N newest.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line for each dead letter.")
@settings_options(RedactionSettings)
def show(*, raw: bool, output: Path | None, limit: int, as_json: bool, **flags: Any) -> None:
    """Show dead letters with their headers and keys, field by field, and mark the faulty byte.

    \b
    Examples:
      tracelink dead-letters show 3-17
      tracelink dead-letters show --topic spans --partition 3 --offset 4711 --json
      tracelink dead-letters show 3-17 --raw --output letter.avro
    """
    from streams.dead_letters.show_view import show_

    filters = _take_filters(flags)
    if filters.is_empty:
        raise click.UsageError("Give a name (3-17) or a filter: `tracelink dead-letters list` lists dead letters.")
    if output is not None and not raw:
        raise click.UsageError("--output writes the payload with its secrets: it needs --raw.")
    redaction = None if raw else RedactionSettings.load_own(flags)
    show_(ReplayedSettings.load_own(flags), redaction, filters, limit, output=output, as_json=as_json)


@dead_letters.command(short_help="Send dead letters back to their topics.")
@_letter_options
@click.option("--all", "everything", is_flag=True, help="All open dead letters: needed without names and filters.")
@click.option(
    "--at-most",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    metavar="N",
    help="Refuse a message that was already redriven N times.",
)
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), metavar="N", help="Send at most N per second.")
@_DRY_RUN
@_YES
@_JSON_SUMMARY
@click.pass_context
def redrive(
    ctx: click.Context,
    /,
    *,
    everything: bool,
    at_most: int,
    rate: float | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Send dead letters back to the topics that they came from, each once and unchanged.

    One Kafka transaction holds the message and its resolution. So a dead letter is sent only once, even if this command
    is repeated or killed. A message that becomes a dead letter again is counted, and redriven at most --at-most times.
    Dead letters of a replay job go to the live topics. The exit code is 1 if a dead letter was refused.

    Dead letters that are named one by one are sent at once. Otherwise the command shows their number and asks for
    confirmation; without a terminal, it needs --yes.

    \b
    Examples:
      tracelink dead-letters redrive 3-17
      tracelink dead-letters redrive --reason refused --sink elasticsearch --from 2h --dry-run
      tracelink dead-letters redrive --all --yes --rate 500
    """
    from streams.dead_letters.execution import Order, redrive_

    order = Order(_take_filters(flags), everything, dry_run=dry_run, yes=yes, as_json=as_json)
    ctx.exit(redrive_(ReplayedSettings.load_own(flags), order, at_most, rate))


@dead_letters.command(short_help="Discard dead letters.")
@_letter_options
@click.option("--all", "everything", is_flag=True, help="All open dead letters: needed without names and filters.")
@_DRY_RUN
@_YES
@_JSON_SUMMARY
@click.pass_context
def discard(
    ctx: click.Context,
    /,
    *,
    everything: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Mark dead letters as discarded: they are no longer listed or redriven, and stay in the topic until retention.

    The command asks for confirmation as `redrive` does. The exit code is 1 if a named dead letter is not found.

    \b
    Examples:
      tracelink dead-letters discard 3-17 3-18
      tracelink dead-letters discard --reason key --topic spans --to 1d --yes
    """
    from streams.dead_letters.execution import Order, discard_

    order = Order(_take_filters(flags), everything, dry_run=dry_run, yes=yes, as_json=as_json)
    ctx.exit(discard_(ReplayedSettings.load_own(flags), order))
