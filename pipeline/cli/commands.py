"""The commands `tracelink topics` and `tracelink settings`."""

import click

from pipeline.cli.options import settings_options
from pipeline.cli.settings_table import settings_table
from pipeline.settings import JoinTopicSettings, TopicSettings

# The other settings apply only when topics are created.
_CHECKED = (*JoinTopicSettings.model_fields, "replication")


@click.group(short_help="Create and check the topics.")
def topics() -> None:
    """Create and check the topics and their settings."""


@topics.command()
@settings_options(TopicSettings)
def apply(**flags: str | None) -> None:
    """Create missing topics, and correct the topic settings that the delivery guarantees need.

    Retention is set only when a topic is created; later changes of yours are kept.

    \b
    Examples:
      tracelink topics apply
      tracelink topics apply --partitions 24 --replication 3 --retention 259200
    """
    from pipeline.kafka.admin import apply as apply_topics
    from pipeline.kafka.admin import connect

    settings = TopicSettings.load(**flags)
    for line in apply_topics(connect(settings), settings) or ["All topics meet the requirements."]:
        click.echo(line)


@topics.command()
@click.option("--json", "as_json", is_flag=True, help="Print violations as a JSON list.")
@settings_options(TopicSettings, only=_CHECKED)
def check(*, as_json: bool, **flags: str | None) -> None:
    """Check that the topics meet the requirements; exit code 1 if one does not.

    \b
    Example:
      tracelink topics check --json
    """
    from dataclasses import asdict
    from json import dumps

    from pipeline.kafka.admin import (
        apply_command,
        connect,
    )
    from pipeline.kafka.admin import check as check_topics

    settings = TopicSettings.load(**flags)
    found = check_topics(connect(settings), settings)
    if as_json:
        click.echo(dumps([asdict(one) for one in found]))
    elif found:
        for one in found:
            click.echo(str(one))
        click.echo(f"Fix them with: {apply_command(settings)}")
    else:
        click.echo("All topics meet the requirements.")
    raise SystemExit(1 if found else 0)


@click.command(short_help="Print every setting.")
def settings() -> None:
    """Print every setting with its default and its meaning, as Markdown tables."""
    click.echo(settings_table())
