"""The options that the commands on dead letters share: which letters are meant."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from pipeline.cli.options import settings_options
from pipeline.cli.times import HELP, Moment
from pipeline.settings import RedactionSettings, ReplayedSettings
from streams.dead_letters.letter import Name
from streams.dead_letters.wanted import Filters
from tracelink.errors import Reason
from tracelink.settings import KafkaSettings

F = TypeVar("F", bound=Callable[..., Any])


class _LetterName(click.ParamType):
    name = "letter"

    def convert(self, value: str | Name, param: click.Parameter | None, ctx: click.Context | None) -> Name:
        if isinstance(value, Name):
            return value
        try:
            return Name.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def letter_options(function: F) -> F:
    """Add the letters and filters, and where Kafka is; `take_filters` and `load_settings` read them."""
    for add in reversed(
        (
            click.argument("letters", nargs=-1, type=_LetterName(), metavar="[LETTER]..."),
            click.option(
                "--reason", "reasons", multiple=True, type=click.Choice([str(one) for one in Reason]),
                help="Of this reason; may be given again.",
            ),
            click.option("--sink", metavar="NAME", help="Found by this sink."),
            click.option("--from", "since", type=Moment(), metavar="MOMENT", help=f"Buried then or later: {HELP}."),
            click.option("--to", "until", type=Moment(), metavar="MOMENT", help="Buried before that moment."),
            click.option("--topic", metavar="TOPIC", help="Came from this topic: spans, logs, traces, …"),
            click.option("--partition", type=click.IntRange(min=0), metavar="N", help="Came from this partition."),
            click.option("--offset", type=click.IntRange(min=0), metavar="N", help="Had this offset there."),
            settings_options(KafkaSettings),
            settings_options(ReplayedSettings, only=("replay",)),
        )
    ):  # fmt: skip
        function = add(function)
    return function


def redaction_options(function: F) -> F:
    """Add the settings of redaction."""
    return settings_options(RedactionSettings)(function)


def take_filters(flags: dict[str, Any]) -> Filters:
    """Take the filters out of a command's flags."""
    return Filters(**{name: flags.pop(name) for name in Filters._fields})


def load_settings(flags: dict[str, Any]) -> ReplayedSettings:
    """Load where Kafka is, and of which job the letters are; raises UserError."""
    return ReplayedSettings.load_own(flags)


def load_redaction(flags: dict[str, Any]) -> RedactionSettings:
    """Load what is redacted; raises UserError."""
    return RedactionSettings.load_own(flags)
