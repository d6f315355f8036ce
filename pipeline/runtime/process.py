"""What every long-running process of ours has around its work."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector

from pipeline.kafka.admin import connect, require
from pipeline.runtime.http_server import monitoring
from pipeline.runtime.log_config import configure_logging
from pipeline.runtime.signals import stopping_on_signal
from pipeline.runtime.watchdog import EndOffsetLookup, Members, Watchdog, watching
from pipeline.settings import MonitoringSettings
from tracelink.settings import KafkaSettings


class Work(Protocol):
    """What a process does. All but its run may be called from any thread, and from signal handlers."""

    @property
    def watchdog(self) -> Watchdog | None:
        """What the watchdog judges; None for work that cannot be stuck."""

    @property
    def group(self) -> str:
        """The consumer group that it is a member of; empty for work that cannot be stuck."""

    def stop(self) -> None:
        """End the run soon."""

    def not_ready(self) -> str | None:
        """Return why it does not get on now, or None; must not block."""


W = TypeVar("W", bound=Work)


def run_process(
    settings: MonitoringSettings,
    make: Callable[[CollectorRegistry], AbstractContextManager[W]],
    run: Callable[[W], object],
    *,
    kafka: KafkaSettings | None = None,
    topics: Iterable[str] = (),
) -> None:
    """Make the work, and `run` it until it ends by itself or is told to stop by a signal; main thread only.

    It logs to standard error, and serves the registry and its health over HTTP. Kafka and the `topics` must be
    there at start, and the watchdog asks there what is left to do. Raises what the work does, UserError and Stuck.
    """
    configure_logging(settings.log_level)
    if kafka is not None:
        require(connect(kafka), kafka, topics)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    with (
        make(registry) as work,
        stopping_on_signal(work.stop),
        monitoring(settings, registry, work.not_ready),
        nullcontext() if kafka is None or work.watchdog is None else _watched(work.watchdog, kafka, work.group),
    ):
        run(work)


def _watched(watchdog: Watchdog, kafka: KafkaSettings, group: str) -> AbstractContextManager[None]:
    return watching(watchdog, EndOffsetLookup(kafka), Members(kafka, group).is_empty)
