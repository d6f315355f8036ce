"""The way of a request through the gateway, whatever server has read it: its sender, its records, Kafka, its answer."""

import asyncio
import logging
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus

from pipeline.formats.decoded import TooManyRecords
from pipeline.formats.invalid_input import InvalidInput
from producers.gateway.access import Senders
from producers.gateway.delivery import Delivery
from producers.gateway.in_hand import InHand, Refused, Share
from producers.gateway.metrics import GatewayMetrics
from producers.gateway.protocol import Answer, Door, Request, Taken, UnknownMediaType
from producers.gateway.rates import Rates
from tracelink.errors import Unavailable

_log = logging.getLogger(__name__)

_LARGE = 256 * 1024
"""Bytes; a larger body is decoded in a thread, so that short requests need not wait for it.

It is one thread: decoding takes many times the memory of the body, and holds the lock of Python.
"""


class Intake:
    """Takes the records of requests; refuses all once `closing` is set."""

    def __init__(
        self,
        in_hand: InHand,
        delivery: Delivery,
        senders: Senders | None,
        rates: Rates | None,
        metrics: GatewayMetrics,
        *,
        within: float,
    ) -> None:
        """`within` is the time in seconds that a request waits for Kafka, from its last byte on."""
        self.closing = False
        self._within = within
        self.in_hand = in_hand
        self._delivery = delivery
        self._senders = senders
        self._rates = rates
        self._metrics = metrics
        self._decoding = ThreadPoolExecutor(1, "gateway-decoding")

    def check(self, authorization: str | None) -> str | None:
        """Return the name of the sender, None if everybody may send.

        Raises Refused if the gateway is ending, the sender is not known, or it has sent too much.
        """
        if self.closing:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "the gateway is ending: try again")
        if self._senders is None:
            return None
        sender = self._senders.sender(authorization)
        if sender is None:
            raise Refused(HTTPStatus.UNAUTHORIZED, "the request has no valid token: send Authorization: Bearer TOKEN")
        if self._rates is not None:
            self._rates.spend(sender, 0)
        return sender

    async def take(self, door: Door, request: Request, share: Share) -> Answer:
        """Return the answer once Kafka has the records of a request, whose body is in `share`; raises Refused."""
        deadline = time.monotonic() + self._within
        metrics, protocol = self._metrics, door.protocol
        if self._rates is not None and request.sender is not None:
            self._rates.spend(request.sender, len(request.body))
        metrics.bytes.labels(protocol).inc(len(request.body))
        if len(request.body) > _LARGE:
            turn = partial(_decode_in_time, door, request, deadline)
            taken = await asyncio.get_running_loop().run_in_executor(self._decoding, turn)
        else:
            taken = _decode(door, request)
        metrics.received.labels(protocol).inc(taken.records)
        for kind, count in taken.notes.items():
            metrics.repaired.labels(protocol, kind).inc(count)
        if taken.invalid:
            metrics.refused.labels(protocol, "invalid").inc(taken.invalid)
        try:
            self.in_hand.take(share, taken.size)
            too_large = await self._delivery.deliver(taken.messages, deadline)
        except (asyncio.CancelledError, Refused):
            metrics.refused.labels(protocol, "unavailable").inc(len(taken.messages))
            raise
        except Unavailable:
            metrics.refused.labels(protocol, "unavailable").inc(len(taken.messages))
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE, "Kafka has not acknowledged the records: send them again"
            ) from None
        self._count(taken, protocol, too_large)
        return door.accepted(request, taken, too_large.total())

    def answered(self, door: Door | None, status: object) -> None:
        """Count an answer; `status` is that of HTTP or gRPC."""
        self._metrics.requests.labels(door.protocol if door else "none", str(status)).inc()

    def _count(self, taken: Taken, protocol: str, too_large: Counter[str]) -> None:
        if too_large:
            self._metrics.refused.labels(protocol, "too_large").inc(too_large.total())
        for kind, count in (Counter(message.kind for message in taken.messages) - too_large).items():
            self._metrics.written.labels(protocol, kind).inc(count)


def failure(door: Door | None, path: str) -> Refused:
    """Log the exception of a bug, and return what its sender gets."""
    _log.exception("a request to %.100r failed", door.protocol if door else path)
    return Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "the gateway failed: see its log")


def _decode_in_time(door: Door, request: Request, deadline: float) -> Taken:
    if time.monotonic() > deadline:
        raise Refused(
            HTTPStatus.SERVICE_UNAVAILABLE, "the gateway was busy with large requests before this one: try again later"
        )
    return _decode(door, request)


def _decode(door: Door, request: Request) -> Taken:
    try:
        return door.decode(request)
    except UnknownMediaType as error:
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, str(error)) from None
    except TooManyRecords as error:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error)) from None
    except InvalidInput as error:
        raise Refused(HTTPStatus.BAD_REQUEST, error.detail) from None
