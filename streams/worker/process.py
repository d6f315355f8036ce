"""The process of a worker."""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from threading import Event

from prometheus_client import CollectorRegistry

from pipeline.runtime.process import run_process
from streams.worker.app import run_worker
from streams.worker.engine import TransactionalWorker
from streams.worker.handler import Handler
from streams.worker.settings import WorkerSettings


def run(settings: WorkerSettings, topics: Iterable[str], make: Callable[[CollectorRegistry, Event], Handler]) -> None:
    """Run a worker that reads and writes these topics, under Faust; `make` makes its handler. See `run_process`."""
    stopping = Event()
    run_process(
        settings,
        lambda registry: nullcontext(TransactionalWorker(make(registry, stopping), settings, stopping)),
        lambda worker: run_worker(worker, settings),
        kafka=settings,
        topics=topics,
    )
