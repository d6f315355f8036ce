"""The Faust worker: its app, and the work that drives librdkafka as a service beside it."""

import asyncio
import gc
from concurrent.futures import ThreadPoolExecutor
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import faust
from faust.app.base import BootStrategy
from mode import Service

from pipeline.runtime.log_config import logging_config
from pipeline.runtime.watchdog import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

# A fetch makes and drops tens of thousands of objects, and the windows hold a few for each open trace. At Python's own
# threshold of 700, looking for cycles among them, of which there are none, takes as long as the join itself.
_GC_THRESHOLD = 100_000


class Work(Protocol):
    """What a worker does, in a thread of its own."""

    progress: Progress

    def run(self) -> None:
        """Work until told to stop, or until there is nothing more to come; blocks."""

    def stop(self) -> None:
        """End soon, with everything committed or left to the next worker; may be called from any thread."""

    def not_ready(self) -> str | None:
        """Return why it does not get on now, or None; may be called from any thread."""


class _Boot(BootStrategy):
    """Boots no Kafka client of Faust's own: the work drives librdkafka."""

    enable_kafka = False
    enable_web = False


class App(faust.App):
    """A Faust app for services."""

    BootStrategy: ClassVar[type[BootStrategy]] = _Boot


class WorkService(Service):
    """Runs the work in a thread of its own, because it blocks.

    When it ends by itself, `on_end` is called. Where it failed, `failure` has the reason: crashing the service instead
    would print a traceback whatever the reason.
    """

    def __init__(self, work: Work, **kwargs: Any) -> None:  # noqa: ANN401 - mode's own arguments
        super().__init__(**kwargs)
        self._work = work
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="work")
        self.failure: Exception | None = None
        self.on_end: Callable[[], Coroutine[Any, Any, None]] | None = None

    @Service.task
    async def _run(self) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._work.run)
        except Exception as error:  # noqa: BLE001 - whatever it is, `run_worker` raises it
            self.failure = error
        if self.on_end is not None and not self.should_stop:
            # Not awaited: it ends this very task.
            self.add_future(self.on_end())

    async def on_stop(self) -> None:
        """Wait until the loop has committed."""
        self._work.stop()
        await asyncio.get_running_loop().run_in_executor(None, self._thread.shutdown)


def run_worker(name: str, broker: str, work: Work, log_level: str) -> None:
    """Run the worker until its work ends, or SIGTERM, or Ctrl-C; raises what ended its work where that failed."""
    gc.set_threshold(_GC_THRESHOLD)
    service = WorkService(work)
    # Faust makes a folder for tables, of which there are none.
    with TemporaryDirectory(prefix="tracelink-") as folder:
        app = App(name, broker=f"kafka://{broker}", autodiscover=False, datadir=folder)
        worker = faust.Worker(
            app, service, loglevel=log_level, redirect_stdouts=False, logging_config=logging_config(log_level)
        )
        worker.spinner = None
        service.on_end = worker.stop
        try:
            worker.execute_from_commandline()
        except SystemExit:  # Faust ends the process: here the reason of the end comes first
            if service.failure is not None:
                raise service.failure from None
            raise
