"""The Faust worker: its app, in which a transactional worker drives librdkafka as a service."""

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any, ClassVar

import faust
from faust.app.base import BootStrategy
from mode import Service
from prometheus_client import CollectorRegistry

from pipeline.runtime.log_config import logging_config
from pipeline.runtime.process import run_process
from streams.worker.engine import TransactionalWorker
from streams.worker.handler import Handler
from streams.worker.settings import WorkerSettings

# A fetch makes and drops tens of thousands of objects, and the windows hold a few for each open trace. At Python's own
# threshold of 700, looking for cycles among them, of which there are none, takes as long as the join itself.
_GC_THRESHOLD = 100_000


class _Boot(BootStrategy):
    """Boots no Kafka client of Faust's own: the work drives librdkafka."""

    enable_kafka = False
    enable_web = False


class App(faust.App):
    """A Faust app for services."""

    BootStrategy: ClassVar[type[BootStrategy]] = _Boot


class WorkService(Service):
    """Runs a worker in a thread of its own, because it blocks.

    When it ends by itself, `on_end` is called. Where it failed, `failure` has the reason: crashing the service instead
    would print a traceback whatever the reason.
    """

    def __init__(self, worker: TransactionalWorker, **kwargs: Any) -> None:  # noqa: ANN401 - mode's own arguments
        super().__init__(**kwargs)
        self._worker = worker
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="work")
        self.failure: Exception | None = None
        self.on_end: Callable[[], Coroutine[Any, Any, None]] | None = None

    @Service.task
    async def _run(self) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._worker.run)
        except Exception as error:  # noqa: BLE001 - whatever it is, `run_worker` raises it
            self.failure = error
        if self.on_end is not None and not self.should_stop:
            # Not awaited: it ends this very task.
            self.add_future(self.on_end())

    async def on_stop(self) -> None:
        """Wait until the loop has committed."""
        self._worker.stop()
        await asyncio.get_running_loop().run_in_executor(None, self._thread.shutdown)


def run_worker(
    settings: WorkerSettings, topics: Iterable[str], make: Callable[[CollectorRegistry, Event], Handler]
) -> None:
    """Run a worker that reads and writes these topics, under Faust; `make` makes its handler. See `run_process`."""
    stopping = Event()
    run_process(
        settings,
        lambda registry: nullcontext(TransactionalWorker(make(registry, stopping), settings, stopping)),
        lambda worker: _run(worker, settings),
        kafka=settings,
        topics=topics,
    )


def _run(worker: TransactionalWorker, settings: WorkerSettings) -> None:
    """Run the worker until its work ends, or SIGTERM, or Ctrl-C; raises what ended its work where that failed."""
    gc.set_threshold(_GC_THRESHOLD)
    service = WorkService(worker)
    # Faust makes a folder for tables, of which there are none.
    with TemporaryDirectory(prefix="tracelink-") as folder:
        broker = f"kafka://{settings.kafka_bootstrap_servers}"
        app = App(worker.group, broker=broker, autodiscover=False, datadir=folder)
        level, logging = settings.log_level, logging_config(settings.log_level)
        process = faust.Worker(app, service, loglevel=level, redirect_stdouts=False, logging_config=logging)
        process.spinner = None
        service.on_end = process.stop
        try:
            process.execute_from_commandline()
        except SystemExit:  # Faust ends the process: here the reason of the end comes first
            if service.failure is not None:
                raise service.failure from None
            raise
