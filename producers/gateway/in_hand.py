"""The requests that are not answered yet: the bytes of their bodies and records are bounded."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

from producers.gateway.metrics import GatewayMetrics
from producers.gateway.settings import GatewaySettings

_MIB = 1024 * 1024


_RETRY_SECONDS = 2


class Refused(Exception):
    """A request that is answered with an error.

    `retry_after` are the seconds after which its sender may send it again; None if it would be refused again.
    """

    def __init__(self, status: HTTPStatus, detail: str, *, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.retry_after = _RETRY_SECONDS if status == HTTPStatus.SERVICE_UNAVAILABLE else retry_after


@dataclass(slots=True)
class Share:
    """The bytes that one request has in hand."""

    size: int = 0


class InHand:
    """The requests that are not answered yet; beyond `max_in_hand_bytes` more are refused before they are read."""

    def __init__(self, settings: GatewaySettings, metrics: GatewayMetrics) -> None:
        self._most = int(settings.max_in_hand_bytes)
        self._metrics = metrics
        self.size = 0
        """The bytes in hand."""
        self.requests = 0
        self.none = asyncio.Event()
        """Set while no request is in hand."""
        self.none.set()
        self.inflating = ThreadPoolExecutor(1, "gateway-inflating")
        """Inflates one large body at a time, since what comes out is counted only at its end."""

    @contextmanager
    def request(self) -> Iterator[Share]:
        """Count a request until it is answered."""
        share = Share()
        self.requests += 1
        self.none.clear()
        try:
            yield share
        finally:
            self.size -= share.size
            self.requests -= 1
            if not self.requests:
                self.none.set()
            self._show()

    def take(self, share: Share, size: int) -> None:
        """Count `size` bytes for a request; raises Refused (503) if there are too many."""
        if self.size + size > self._most:
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"the gateway has {self.size / _MIB:.0f} MiB of requests in hand: try again later",
            )
        share.size += size
        self.size += size
        self._show()

    def _show(self) -> None:
        self._metrics.in_hand_bytes.set(self.size)
        self._metrics.in_hand_requests.set(self.requests)
