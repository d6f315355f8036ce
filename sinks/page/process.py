"""The process of the page: its server, and the threads that read the problems and the curves."""

import asyncio
import logging
from contextlib import ExitStack
from functools import partial
from typing import Self

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from prometheus_client import CollectorRegistry

from pipeline.runtime.listening import refuse_taken
from pipeline.runtime.process import run_process
from pipeline.runtime.serving import StopRequest, serve_until
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

_log = logging.getLogger(__name__)

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
        self._stop = StopRequest()
        self._running = False

    def __enter__(self) -> Self:
        self._closing.enter_context(self._problems)
        self._closing.enter_context(self._curves)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def stop(self) -> None:
        """End soon."""
        self._stop.set()

    def not_ready(self) -> str | None:
        """Return why it does not show the problems as they are, or None."""
        return self._problems.failure if self._running else "The page is not listening."

    def run(self) -> None:
        """Serve until stopped. Raises UserError if it cannot listen."""
        asyncio.run(self._serve())

    async def _serve(self) -> None:
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
        with self._stop.heard() as stop:
            failed = await serve_until(stop, [serving], self._announce)
        self._running = False
        if failed:
            raise UserError(f"The page cannot listen: {serving.exception() or 'its server has ended'}.")
        self._problems.end_changes()
        server.stop()  # type: ignore[no-untyped-call]  # it has no annotations
        await asyncio.wait([serving], timeout=_END_SECONDS)

    def _announce(self) -> None:
        self._running = True
        _log.info("shows the page on http://%s", self._settings.address)
