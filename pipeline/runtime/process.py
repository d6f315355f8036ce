"""The frame of every long-running process: logging, metrics and health, signals, watchdog."""

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
    """The work of a process. All methods may be called from any thread and from signal handlers."""

    @property
    def watchdog(self) -> Watchdog | None:
        """The watchdog of this work; None for work that cannot be stuck."""

    @property
    def group(self) -> str:
        """The consumer group of this work; empty for work that cannot be stuck."""

    def stop(self) -> None:
        """Make the run end soon."""

    def not_ready(self) -> str | None:
        """Return why it cannot make progress now, or None; must not block."""


W = TypeVar("W", bound=Work)


def run_process(
    settings: MonitoringSettings,
    make: Callable[[CollectorRegistry], AbstractContextManager[W]],
    run: Callable[[W], object],
    *,
    kafka: KafkaSettings | None = None,
    topics: Iterable[str] = (),
) -> None:
    """Make the work, and `run` it until it ends by itself or a signal stops it; main thread only.

    It logs to standard error, and serves metrics and health over HTTP. With `kafka`, the broker must answer and the
    `topics` must meet their requirements at start; the watchdog asks it for lag. Raises UserError, Stuck, and the
    errors of the work.
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
