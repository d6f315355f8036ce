"""The command `tracelink join`."""

from threading import Event
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import settings_options
from streams.join.settings import JoinSettings

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from streams.join.handler import Join


@click.command(short_help="Join spans and logs by trace id.")
@settings_options(JoinSettings)
def join(**flags: str | None) -> None:
    """Join spans and logs by trace id, and flag errored traces.

    Reads the topics spans and logs; writes traces, error-traces and dead-letters, exactly once. Start at most as many
    workers as there are partitions, each with its own --instance-id. With --replay, a worker ends when all its
    partitions of the job are joined.

    \b
    Examples:
      tracelink join
      tracelink join --idle-gap 10 --http-port 9101
      tracelink join --replay friday
      TRACELINK_KAFKA_BOOTSTRAP_SERVERS=kafka:9092 tracelink join --instance-id join-1
    """
    from streams.app import run_worker
    from streams.join.handler import Join as Handler
    from streams.join.metrics import JoinMetrics
    from streams.replay.jobs import with_windows_of_job
    from streams.replay.windows import record_windows

    settings = with_windows_of_job(JoinSettings.load(**flags))

    def make(registry: "CollectorRegistry", stopping: Event) -> "Join":
        if settings.replay is None:
            record_windows(settings)
        return Handler(settings, JoinMetrics(registry), stopping)

    run_worker(settings, settings.topics, make)
