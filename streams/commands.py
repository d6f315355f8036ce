"""The workers' commands: `tracelink join`, `tracelink alerts`."""

from typing import TYPE_CHECKING

import click

from tracelink.options import settings_options
from tracelink.settings import AlertSettings, JoinSettings, WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry

    from streams.app import Work


@click.command(short_help="Join spans and logs by trace id.")
@settings_options(JoinSettings)
def join(**flags: str | None) -> None:
    """Join spans and logs by trace id, and flag errored traces.

    Reads the topics spans and logs, writes traces, error-traces and dead-letters, exactly once. Start as many workers
    as there are partitions, each with its own --instance-id. With --replay a worker ends once there is nothing left.

    \b
    Examples:
      tracelink join
      tracelink join --idle-gap 10 --http-port 9101
      tracelink join --replay friday
      TRACELINK_KAFKA_BOOTSTRAP_SERVERS=kafka:9092 tracelink join --instance-id join-1
    """  # noqa: D301 - click reads the escape itself
    from streams.join import Join  # noqa: PLC0415 - heavy, not for --help
    from streams.replay.jobs import refuse_other_gap  # noqa: PLC0415 - as above
    from tracelink.topics import join_group  # noqa: PLC0415 - as above

    settings = JoinSettings.load(**flags)
    if settings.replay is not None:
        refuse_other_gap(settings)
    _run(settings, join_group(settings), lambda registry: Join(settings, registry))


@click.command(short_help="Group errored traces into problems, and raise alerts.")
@settings_options(AlertSettings)
def alerts(**flags: str | None) -> None:
    """Group errored traces by where their errors began, and tell what is new, back, too frequent or over.

    Reads the topic error-traces, writes errors, problems and alerts, exactly once. `tracelink sink alertmanager` and
    `tracelink sink webhook` bring the alerts to people. Start as many workers as there are partitions, each with its
    own --instance-id.

    \b
    Examples:
      tracelink alerts
      tracelink alerts --rules-file rules.toml --quiet-after 600
      TRACELINK_KAFKA_BOOTSTRAP_SERVERS=kafka:9092 tracelink alerts --instance-id alerts-1
    """  # noqa: D301 - click reads the escape itself
    from streams.alerts.worker import AlertWorker  # noqa: PLC0415 - heavy, not for --help

    settings = AlertSettings.load(**flags)
    _run(settings, settings.alerts_group, lambda registry: AlertWorker(settings, registry))


def _run(settings: WorkerSettings, group: str, make: "Callable[[CollectorRegistry], Work]") -> None:
    """Run a worker of a group, with what it shows of itself; Kafka and its topics must be there at start."""
    from prometheus_client import CollectorRegistry, ProcessCollector  # noqa: PLC0415 - heavy, not for --help

    from streams.app import run_worker  # noqa: PLC0415 - as above
    from tracelink.console import configure_logging  # noqa: PLC0415 - as above
    from tracelink.kafka import connect  # noqa: PLC0415 - as above
    from tracelink.monitoring import monitoring  # noqa: PLC0415 - as above
    from tracelink.progress import Ends, watching  # noqa: PLC0415 - as above
    from tracelink.topic_admin import require  # noqa: PLC0415 - as above

    configure_logging(settings.log_level)
    require(connect(settings), settings)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    work = make(registry)
    with monitoring(settings, registry, work.not_ready), watching(work.progress, Ends(settings)):
        run_worker(group, settings.kafka_bootstrap_servers, work, settings.log_level)
