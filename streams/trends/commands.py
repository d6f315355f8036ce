"""The command `tracelink trends`."""

import click

from pipeline.cli.options import settings_options
from streams.trends.settings import TrendsSettings


@click.command(short_help="Count errors and dead letters by minute.")
@settings_options(TrendsSettings)
def trends(**flags: str | None) -> None:
    """Count the errors of the last day by minute: by fingerprint and by service, and dead letters by reason.

    Reads the topics errors and dead-letters; writes the curves to the topic trends. Curves are approximate, because
    they may count an error of an aborted transaction; alerts do not use them. Start at most as many workers as there
    are partitions.

    \b
    Examples:
      tracelink trends
      TRACELINK_KAFKA_BOOTSTRAP_SERVERS=kafka:9092 tracelink trends --trends-every 10
    """
    from streams.trends.process import run

    run(TrendsSettings.load(**flags))
