"""The Faust worker: a Faust app that runs a transactional worker as a service. Only that worker talks to Kafka."""

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

# A fetch makes and drops tens of thousands of objects, and the windows hold a few for each open trace. They have no
# cycles. At Python's default threshold of 700, the search for cycles takes as long as the join itself.
_GC_THRESHOLD = 100_000


class _Boot(BootStrategy):
    """Starts no Kafka client of Faust: the worker uses librdkafka."""

    enable_kafka = False
    enable_web = False


class App(faust.App):
    """A Faust app that only runs services."""

    BootStrategy: ClassVar[type[BootStrategy]] = _Boot


class WorkService(Service):
    """Runs a worker in a thread of its own, because it blocks.

    The service calls `on_end` when the worker ends by itself. `failure` has the worker's exception, if any. To crash
    the service instead would print a traceback for every reason.
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
        except Exception as error:  # noqa: BLE001 - `run_worker` raises it again
            self.failure = error
        if self.on_end is not None and not self.should_stop:
            # Not awaited: it ends this task.
            self.add_future(self.on_end())

    async def on_stop(self) -> None:
        """Wait until the loop has committed."""
        self._worker.stop()
        await asyncio.get_running_loop().run_in_executor(None, self._thread.shutdown)


def run_worker(
    settings: WorkerSettings, topics: Iterable[str], make: Callable[[CollectorRegistry, Event], Handler]
) -> None:
    """Run a worker under Faust; `topics` are all that it reads or writes, `make` makes its handler; see run_process."""
    stopping = Event()
    run_process(
        settings,
        lambda registry: nullcontext(TransactionalWorker(make(registry, stopping), settings, stopping)),
        lambda worker: _run(worker, settings),
        kafka=settings,
        topics=topics,
    )


def _run(worker: TransactionalWorker, settings: WorkerSettings) -> None:
    """Run the worker until it ends, or until SIGTERM or Ctrl-C; raises the worker's exception if it failed."""
    gc.set_threshold(_GC_THRESHOLD)
    service = WorkService(worker)
    # Faust makes a folder for its tables; we have no tables.
    with TemporaryDirectory(prefix="tracelink-") as folder:
        broker = f"kafka://{settings.kafka_bootstrap_servers}"
        app = App(worker.group, broker=broker, autodiscover=False, datadir=folder)
        level, logging = settings.log_level, logging_config(settings.log_level)
        process = faust.Worker(app, service, loglevel=level, redirect_stdouts=False, logging_config=logging)
        process.spinner = None
        service.on_end = process.stop
        try:
            process.execute_from_commandline()
        except SystemExit:  # Faust ends the process: the worker's exception takes precedence
            if service.failure is not None:
                raise service.failure from None
            raise
