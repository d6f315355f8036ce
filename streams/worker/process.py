"""The process of a worker: what it checks at start, and what it serves."""

from collections.abc import Callable
from threading import Event

from prometheus_client import CollectorRegistry, ProcessCollector

from pipeline.kafka.admin import connect, require
from pipeline.runtime.http_server import monitoring
from pipeline.runtime.log_config import configure_logging
from pipeline.runtime.watchdog import Ends, watching
from streams.worker.app import run_worker
from streams.worker.engine import TransactionalWorker
from streams.worker.handler import Handler
from streams.worker.settings import WorkerSettings


def run(settings: WorkerSettings, group: str, make: Callable[[CollectorRegistry, Event], Handler]) -> None:
    """Run a worker of a group, with what it shows of itself; Kafka and its topics must be there at start."""
    configure_logging(settings.log_level)
    require(connect(settings), settings)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    stopping = Event()
    work = TransactionalWorker(make(registry, stopping), settings, stopping)
    with monitoring(settings, registry, work.not_ready), watching(work.progress, Ends(settings)):
        run_worker(group, settings.kafka_bootstrap_servers, work, settings.log_level)
