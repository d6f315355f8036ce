"""The Faust worker that runs the join: its app, and the join as a service of that app."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import faust
from faust.app.base import BootStrategy
from mode import Service

from streams.join import Join
from tracelink.console import logging_config


class _Boot(BootStrategy):
    """Boots no Kafka client of Faust's own: the join drives librdkafka, and a client without agents has no work."""

    enable_kafka = False
    enable_web = False


class App(faust.App):
    """A Faust app for services and, later, agents."""

    BootStrategy: ClassVar[type[BootStrategy]] = _Boot


class JoinService(Service):
    """Runs the join's loop in a thread of its own, because it blocks, and ends the worker when the loop fails."""

    def __init__(self, join: Join, **kwargs: Any) -> None:  # noqa: ANN401 - mode's own arguments
        super().__init__(**kwargs)
        self._join = join
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="join")
        self.failure: Exception | None = None

    @Service.task
    async def _run(self) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._join.run)
        except Exception as error:
            # Mode keeps the crash to itself once the worker stops: the command shows it.
            self.failure = error
            raise

    async def on_stop(self) -> None:
        """Wait until the loop has committed."""
        self._join.stop()
        await asyncio.get_running_loop().run_in_executor(None, self._thread.shutdown)


def run_worker(name: str, broker: str, join: Join, loglevel: str) -> None:
    """Run the worker until SIGTERM or Ctrl-C; raises what ended the join."""
    app = App(name, broker=f"kafka://{broker}", autodiscover=False)
    service = JoinService(join)
    worker = faust.Worker(
        app, service, loglevel=loglevel, redirect_stdouts=False, logging_config=logging_config(loglevel)
    )
    _run_to_end(worker.execute_from_commandline)
    if service.failure is not None:
        raise service.failure


def _run_to_end(execute: Callable[[], None]) -> None:
    try:
        execute()
    except SystemExit as ended:
        # Faust ends the process; the caller has its own word to say on how it ended.
        if ended.code not in {0, None}:
            return
