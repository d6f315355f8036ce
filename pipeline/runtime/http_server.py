"""The HTTP server of a process: /metrics, /healthz, /readyz."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from socketserver import ThreadingMixIn
from threading import Thread
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from pipeline.settings import MonitoringSettings
from tracelink.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

_log = logging.getLogger(__name__)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:  # noqa: ANN401 - the base class's signature
        """Keep scrapes out of the log."""


@contextmanager
def monitoring(
    settings: MonitoringSettings, registry: CollectorRegistry, not_ready: Callable[[], str | None]
) -> Iterator[str]:
    """Serve while the context lasts; yield the base URL, and log it.

    `not_ready` returns why the process is not ready, or None; it is called from other threads and must not block.
    Raises UserError if the port is taken.
    """
    metrics = make_wsgi_app(registry)

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        path = environ.get("PATH_INFO", "/")
        if path == "/metrics":
            shown: Iterable[bytes] = metrics(environ, start_response)
            return shown
        if path == "/healthz":
            status, text = HTTPStatus.OK, "alive"
        elif path == "/readyz":
            why = not_ready()
            status, text = (HTTPStatus.OK, "ready") if why is None else (HTTPStatus.SERVICE_UNAVAILABLE, why)
        else:
            status, text = HTTPStatus.NOT_FOUND, "Not found; paths are /metrics, /healthz and /readyz."
        start_response(f"{status.value} {status.phrase}", [("Content-Type", "text/plain; charset=utf-8")])
        return [text.encode() + b"\n"]

    try:
        server = make_server(settings.http_host, settings.http_port, application, _Server, _Quiet)
    except OSError as error:
        where = f"{settings.http_host}:{settings.http_port}"
        raise UserError(f"Cannot serve on {where} ({error.strerror}): choose another port with --http-port.") from None
    thread = Thread(target=server.serve_forever, name="monitoring", daemon=True)
    thread.start()
    url = f"http://{settings.http_host}:{server.server_port}"
    _log.info("metrics and health on %s", url)
    try:
        yield url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
