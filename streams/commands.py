"""The command `tracelink join`."""

import click

from tracelink.options import settings_options
from tracelink.settings import JoinSettings


@click.command(short_help="Join spans and logs by trace id.")
@settings_options(JoinSettings)
def join(**flags: str | None) -> None:
    """Join spans and logs by trace id, and flag errored traces.

    Reads the topics spans and logs, writes traces, error-traces and dead-letters, exactly once. Start as many workers
    as there are partitions, each with its own --instance-id.

    \b
    Examples:
      tracelink join
      tracelink join --idle-gap 10 --http-port 9101
      TRACELINK_KAFKA_BOOTSTRAP_SERVERS=kafka:9092 tracelink join --instance-id join-1
    """  # noqa: D301 - click reads the escape itself
    from prometheus_client import CollectorRegistry, ProcessCollector  # noqa: PLC0415 - heavy, not for --help

    from streams.app import run_worker  # noqa: PLC0415 - as above
    from streams.join import Join  # noqa: PLC0415 - as above
    from tracelink.console import configure_logging  # noqa: PLC0415 - as above
    from tracelink.kafka import connect  # noqa: PLC0415 - as above
    from tracelink.monitoring import monitoring  # noqa: PLC0415 - as above
    from tracelink.progress import Ends, watching  # noqa: PLC0415 - as above
    from tracelink.topic_admin import require  # noqa: PLC0415 - as above

    settings = JoinSettings.load(**flags)
    configure_logging(settings.log_level)
    require(connect(settings), settings)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    worker = Join(settings, registry)
    with monitoring(settings, registry, worker.not_ready), watching(worker.progress, Ends(settings)):
        run_worker(settings.join_group, settings.kafka_bootstrap_servers, worker, settings.log_level)
