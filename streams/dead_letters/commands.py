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

_YES = click.option("--yes", is_flag=True, help="Do not ask; needed for filters and --all where nobody can be asked.")
_JSON_SUMMARY = click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be done with each letter, and do nothing.")


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
    """Add the letters and filters, and where Kafka is."""
    for add in reversed(
        (
            click.argument("letters", nargs=-1, type=_LetterName(), metavar="[LETTER]..."),
            click.option(
                "--reason", "reasons", multiple=True, type=click.Choice([str(one) for one in Reason]),
                help="Of this reason; may be given again.",
            ),
            click.option("--sink", metavar="NAME", help="Found by this sink."),
            click.option("--from", "since", type=TimeSpec(), metavar="MOMENT", help=f"Buried then or later: {HELP}."),
            click.option("--to", "until", type=TimeSpec(), metavar="MOMENT", help="Buried before that moment."),
            click.option("--topic", metavar="TOPIC", help="Came from this topic: spans, logs, traces, …"),
            click.option("--partition", type=click.IntRange(min=0), metavar="N", help="Came from this partition."),
            click.option("--offset", type=click.IntRange(min=0), metavar="N", help="Had this offset there."),
            settings_options(KafkaSettings),
            settings_options(ReplayedSettings, only=("replay",)),
        )
    ):  # fmt: skip
        function = add(function)
    return function


def _take_filters(flags: dict[str, Any]) -> Filters:
    """Take the filters out of a command's flags."""
    return Filters(**{name: flags.pop(name) for name in Filters._fields})


@click.group("dead-letters", short_help="Look at dead letters, send them again, or be done with them.")
def dead_letters() -> None:
    """Look at what could not be joined or written, mend the cause, send it again, or be done with it.

    A letter's name is its place in the topic dead-letters, PARTITION-OFFSET: 3-17. All commands take names, filters, or
    both. See docs/dead-letters.md.

    \b
    Examples:
      tracelink dead-letters list --from 2h
      tracelink dead-letters show 3-17
      tracelink dead-letters redrive --sink elasticsearch --reason refused
      tracelink dead-letters discard 3-17 3-18
    """


@dead_letters.command("list", short_help="List the open letters, the newest last.")
@_letter_options
@click.option("--all", "resolved", is_flag=True, help="List those that were redriven or discarded, too.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many, the newest.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a letter, a line each.")
@settings_options(RedactionSettings)
def list_letters(*, resolved: bool, limit: int, as_json: bool, **flags: Any) -> None:
    """List the letters that were neither redriven nor discarded, the newest last, and count them by reason.

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


@dead_letters.command(short_help="Show letters to the byte that is wrong.")
@_letter_options
@click.option("--raw", is_flag=True, help="Show texts as they are: secrets are not redacted.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the payload of one letter, as it is, to a file; with --raw.",
)
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many, the newest.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a letter, a line each.")
@settings_options(RedactionSettings)
def show(*, raw: bool, output: Path | None, limit: int, as_json: bool, **flags: Any) -> None:
    """Show letters with their headers and keys, field by field, and point at the byte that is wrong.

    \b
    Examples:
      tracelink dead-letters show 3-17
      tracelink dead-letters show --topic spans --partition 3 --offset 4711 --json
      tracelink dead-letters show 3-17 --raw --output letter.avro
    """
    from streams.dead_letters.show_view import show_

    filters = _take_filters(flags)
    if filters.is_empty:
        raise click.UsageError("Name a letter (3-17) or a filter: `tracelink dead-letters list` lists them.")
    if output is not None and not raw:
        raise click.UsageError("--output writes the payload as it is, secrets and all: say --raw, too.")
    redaction = None if raw else RedactionSettings.load_own(flags)
    show_(ReplayedSettings.load_own(flags), redaction, filters, limit, output=output, as_json=as_json)


@dead_letters.command(short_help="Send letters to where they came from.")
@_letter_options
@click.option("--all", "everything", is_flag=True, help="All open letters: needed where nothing else is named.")
@click.option(
    "--at-most",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    metavar="N",
    help="Refuse a message that was redriven so many times.",
)
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), metavar="N", help="At most so many a second.")
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
    """Send letters to the topics that they came from, each once, as they are.

    The message and the mark that it was sent are one Kafka transaction: a letter goes out once, however often this is
    called or killed. What comes back as a dead letter is counted, and goes out at most --at-most times. Letters of a
    replay job go to the live topics. The exit code is 1 if a letter was refused.

    Letters that are named one by one are sent at once. Otherwise it says how many there are and asks; where there is
    no terminal, --yes is needed.

    \b
    Examples:
      tracelink dead-letters redrive 3-17
      tracelink dead-letters redrive --reason refused --sink elasticsearch --from 2h --dry-run
      tracelink dead-letters redrive --all --yes --rate 500
    """
    from streams.dead_letters.execution import Order, redrive_

    order = Order(_take_filters(flags), everything, dry_run=dry_run, yes=yes, as_json=as_json)
    ctx.exit(redrive_(ReplayedSettings.load_own(flags), order, at_most, rate))


@dead_letters.command(short_help="Be done with letters.")
@_letter_options
@click.option("--all", "everything", is_flag=True, help="All open letters: needed where nothing else is named.")
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
    """Mark letters as done with, so that they are neither listed nor redriven; they stay in the topic until it ages.

    It asks as `redrive` does. The exit code is 1 if a letter that was named is not there.

    \b
    Examples:
      tracelink dead-letters discard 3-17 3-18
      tracelink dead-letters discard --reason key --topic spans --to 1d --yes
    """
    from streams.dead_letters.execution import Order, discard_

    order = Order(_take_filters(flags), everything, dry_run=dry_run, yes=yes, as_json=as_json)
    ctx.exit(discard_(ReplayedSettings.load_own(flags), order))
