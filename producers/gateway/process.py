"""The process of the gateway: its HTTP servers, and the delivery to Kafka."""

import asyncio
import gc
import logging
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Self

from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.server.embed import Server
from grpc import aio
from prometheus_client import CollectorRegistry

from pipeline.runtime.listening import Address, refuse_taken
from pipeline.runtime.process import run_process
from pipeline.runtime.serving import StopRequest, serve_until
from producers.gateway.access import Senders
from producers.gateway.delivery import Delivery
from producers.gateway.grpc_server import grpc_server
from producers.gateway.http_app import HttpApp
from producers.gateway.in_hand import InHand
from producers.gateway.intake import Intake
from producers.gateway.metrics import GatewayMetrics
from producers.gateway.protocol import Encoder
from producers.gateway.rates import Rates
from producers.gateway.settings import GatewaySettings
from tracelink.errors import UserError
from tracelink.kafka.topics import TopicNames

_log = logging.getLogger(__name__)

# Allocations until the garbage collector runs. The records of a request are many objects, and no cycles.
_COLLECT_AFTER = 500_000
_BACKLOG = 1024
_END_SECONDS = 5.0
"""Time for connections to close after the last answer."""


def run(settings: GatewaySettings) -> None:
    """Take requests until stopped; see `run_process`. Raises UserError."""
    settings.check()
    gc.set_threshold(_COLLECT_AFTER)
    names = TopicNames(settings.topic_prefix)
    run_process(
        settings,
        partial(Gateway, settings),
        Gateway.run,
        kafka=settings,
        topics=(names.spans, names.logs, names.unlinked_logs),
    )


class Gateway:
    """The servers of all addresses, in one event loop; a context manager that ends the delivery.

    `not_ready` and `stop` may be called from any thread, and from signal handlers. Raises UserError for wrong settings.
    """

    watchdog = None  # every request has a deadline
    group = ""

    def __init__(self, settings: GatewaySettings, registry: CollectorRegistry) -> None:
        self._settings = settings
        file = settings.gateway_tokens_file
        senders = None if file is None else Senders(file)
        metrics = GatewayMetrics(registry)
        for address in settings.addresses:
            refuse_taken(address, "--gateway-listen")
        for address in settings.grpc_addresses:
            refuse_taken(address, "--gateway-grpc-listen")
        self._delivery = Delivery(settings, metrics)
        rates = None if settings.sender_rate is None else Rates(int(settings.sender_rate))
        self._intake = Intake(
            InHand(settings, metrics), self._delivery, senders, rates, metrics, within=settings.answer_within
        )
        self._encoder = Encoder(settings)
        self._stop = StopRequest()
        self._running = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._delivery.close()

    def stop(self) -> None:
        """End soon: requests in hand are answered, later ones are refused."""
        self._stop.set()

    def not_ready(self) -> str | None:
        """Return why it cannot take records, or None."""
        if not self._running:
            return "The gateway is ending." if self._stop.is_set else "The gateway is not listening yet."
        return self._delivery.unavailable()

    def run(self) -> None:
        """Serve until stopped. Raises UserError if it cannot listen."""
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        app = HttpApp(self._settings, self._intake, self._encoder)
        servers = [_server(app, address, self._settings) for address in self._settings.addresses]
        serving = [asyncio.create_task(server.serve()) for server in servers]
        grpc = grpc_server(self._settings, self._intake, self._encoder)
        await grpc.start()
        with self._stop.heard() as stop:
            failed = await serve_until(stop, serving, self._announce)
        self._running = False
        self._intake.closing = True
        _log.info("ends after %d requests in hand", self._intake.in_hand.requests)
        await self._end(servers, serving, grpc)
        for one in failed:
            raise UserError(f"The gateway cannot listen: {one.exception() or 'its server has ended'}.")

    def _announce(self) -> None:
        self._running = True
        scheme = "http" if self._settings.gateway_certificate is None else "https"
        for address in self._settings.addresses:
            _log.info("takes spans and log lines on %s://%s", scheme, address)
        for address in self._settings.grpc_addresses:
            _log.info("takes OTLP over gRPC on %s", address)

    async def _end(self, servers: Sequence[Server], serving: Sequence[asyncio.Task[None]], grpc: aio.Server) -> None:
        """Answer what is in hand, then close the connections."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.answer_within + _END_SECONDS):
                await self._intake.in_hand.none.wait()
        for server in servers:
            server.stop()  # type: ignore[no-untyped-call]  # it has no annotations
        await grpc.stop(_END_SECONDS)
        await asyncio.wait(serving, timeout=_END_SECONDS)


def _server(app: HttpApp, address: Address, settings: GatewaySettings) -> Server:
    return Server(
        app,
        address=address.host,
        port=address.port,
        interface=Interfaces.RSGI,
        backlog=_BACKLOG,
        backpressure=settings.max_connections,
        # The timeout for headers covers a connection that sends nothing only if its protocol need not be found out.
        http=HTTPModes.http1,
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=round(settings.header_timeout * 1000)),
        log_enabled=False,
        ssl_cert=settings.gateway_certificate,
        ssl_key=settings.gateway_key,
        ssl_protocol_min=SSLProtocols.tls12,
        ssl_ca=settings.gateway_client_ca,
        ssl_client_verify=settings.gateway_client_ca is not None,
    )
