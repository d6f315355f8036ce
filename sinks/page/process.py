"""The process of the page: its server, and the threads that read the problems and the curves."""

import asyncio
import logging
import threading
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Self

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from prometheus_client import CollectorRegistry

from pipeline.runtime.listening import refuse_taken
from pipeline.runtime.process import run_process
from sinks.elasticsearch.client import ElasticsearchClient
from sinks.page.app import App
from sinks.page.curves import LiveCurves
from sinks.page.live import LiveProblems
from sinks.page.metrics import PageMetrics
from sinks.page.search import Search
from sinks.page.settings import PageSettings
from sinks.page.traces import Traces
from sinks.page.views import Views
from tracelink.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)

_START_SECONDS = 0.1
"""A server that cannot listen has ended by then."""
_END_SECONDS = 5.0


def run(settings: PageSettings) -> None:
    """Serve the page until stopped; see `run_process`. Raises UserError."""
    settings.check()
    run_process(settings, partial(PageServer, settings), PageServer.run)


class PageServer:
    """The server in its event loop; a context manager that closes what it reads from.

    `not_ready` and `stop` may be called from any thread, and from signal handlers.
    """

    watchdog = None  # every request has a deadline
    group = ""

    def __init__(self, settings: PageSettings, registry: CollectorRegistry) -> None:
        self._settings = settings
        refuse_taken(settings.address, "--page-listen")
        client = ElasticsearchClient(settings, settings.store_timeout)
        self._closing = ExitStack()
        self._closing.callback(client.close)
        self._problems = LiveProblems(settings)
        self._curves = LiveCurves(settings)
        prefix = settings.index_prefix
        views = Views(
            settings,
            self._problems,
            self._curves,
            Traces(client, prefix, settings.store_timeout),
            Search(client, prefix),
        )
        self._app = App(settings, views, self._problems, PageMetrics(registry))
        self._stopping = threading.Event()
        self._running = False
        self._wake: Callable[[], object] = _nothing

    def __enter__(self) -> Self:
        self._closing.enter_context(self._problems)
        self._closing.enter_context(self._curves)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def stop(self) -> None:
        """End soon."""
        self._stopping.set()
        self._wake()

    def not_ready(self) -> str | None:
        """Return why it does not show the problems as they are, or None."""
        return self._problems.failure if self._running else "The page is not listening."

    def run(self) -> None:
        """Serve until stopped. Raises UserError if it cannot listen."""
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        self._wake = partial(loop.call_soon_threadsafe, stop.set)
        if self._stopping.is_set():
            stop.set()
        address = self._settings.address
        server = Server(
            self._app.asgi,
            address=address.host,
            port=address.port,
            interface=Interfaces.ASGI,
            http=HTTPModes.http1,
            websockets=False,
            log_enabled=False,
        )
        serving = asyncio.create_task(server.serve())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([serving, stopped], timeout=_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            _log.info("shows the page on http://%s", address)
            self._running = True
        await asyncio.wait([serving, stopped], return_when=asyncio.FIRST_COMPLETED)
        self._running = False
        self._wake = _nothing
        if serving.done():
            raise UserError(f"The page cannot listen: {serving.exception() or 'its server has ended'}.")
        self._problems.end_changes()
        server.stop()  # type: ignore[no-untyped-call]  # it has no annotations
        await asyncio.wait([serving], timeout=_END_SECONDS)


def _nothing() -> None:
    """Wake no loop: none runs."""
