"""The HTTP application of the gateway: from a request to its answer."""

import asyncio
import logging
import time
from http import HTTPStatus

from granian.rsgi import HTTPProtocol, Scope

from pipeline.formats.decoded import TooManyRecords
from pipeline.formats.invalid_input import InvalidInput
from producers.gateway import otlp
from producers.gateway.access import Senders
from producers.gateway.body import InHand, Refused, Share, read_body
from producers.gateway.delivery import Delivery
from producers.gateway.lines import Lines
from producers.gateway.metrics import GatewayMetrics
from producers.gateway.protocol import Answer, Door, Encoder, Request, Taken, UnknownMediaType
from producers.gateway.settings import GatewaySettings
from producers.gateway.zipkin import Spans
from tracelink.errors import Unavailable

_log = logging.getLogger(__name__)

_LARGE = 256 * 1024
"""Bytes; a larger body is decoded in a thread, so that short requests need not wait for it."""
_RETRY_SECONDS = 2
_NO_PROTOCOL = "none"


def doors(settings: GatewaySettings) -> dict[str, Door]:
    """Return what each path takes."""
    encoder = Encoder(settings)
    return {
        "/v1/traces": otlp.Traces(encoder),
        "/v1/logs": otlp.Logs(encoder),
        "/v1/metrics": otlp.Metrics(),
        "/api/v2/spans": Spans(encoder, version=2),
        "/api/v1/spans": Spans(encoder, version=1),
        "/v1/lines": Lines(encoder),
    }


class HttpApp:
    """Answers a request when Kafka has its records; refuses all once `closing` is set."""

    def __init__(
        self, settings: GatewaySettings, delivery: Delivery, senders: Senders | None, metrics: GatewayMetrics
    ) -> None:
        self.closing = False
        self.in_hand = InHand(settings, metrics)
        self._settings = settings
        self._doors = doors(settings)
        self._delivery = delivery
        self._senders = senders
        self._metrics = metrics

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        """Answer one request."""
        if scope.proto != "http":
            return
        door = self._doors.get(scope.path.rstrip("/"))
        content_type = scope.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            with self.in_hand.request() as share:
                answer = await self._answer(scope, protocol, door, content_type, share)
        except Refused as refused:
            answer = _refusal(door, content_type, refused.status, refused.detail)
        except Exception:  # noqa: BLE001 - the sender gets an answer, whatever the bug
            _log.exception("a request to %.100r failed", scope.path)
            answer = _refusal(door, content_type, HTTPStatus.INTERNAL_SERVER_ERROR, "the gateway failed: see its log")
        self._metrics.requests.labels(door.protocol if door else _NO_PROTOCOL, str(int(answer.status))).inc()
        protocol.response_bytes(int(answer.status), _headers(answer), answer.body)

    async def _answer(
        self, scope: Scope, protocol: HTTPProtocol, door: Door | None, content_type: str, share: Share
    ) -> Answer:
        if door is None:
            raise Refused(HTTPStatus.NOT_FOUND, f"no such path; the gateway takes POST {', '.join(self._doors)}")
        if scope.method != "POST":
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, f"{scope.path} takes POST")
        if self.closing:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "the gateway is ending: try again")
        if self._senders is not None and self._senders.sender(scope.headers.get("authorization")) is None:
            raise Refused(HTTPStatus.UNAUTHORIZED, "the request has no valid token: send Authorization: Bearer TOKEN")
        body = await read_body(scope, protocol, self.in_hand, share, self._settings)
        request = Request(scope.path, content_type, body, time.time_ns() // 1000)
        self._metrics.bytes.labels(door.protocol).inc(len(body))
        return await self._deliver(door, request)

    async def _deliver(self, door: Door, request: Request) -> Answer:
        if len(request.body) > _LARGE:
            taken = await asyncio.to_thread(_decode, door, request)
        else:
            taken = _decode(door, request)
        metrics, protocol = self._metrics, door.protocol
        metrics.received.labels(protocol).inc(taken.records)
        for kind, count in taken.notes.items():
            metrics.repaired.labels(protocol, kind).inc(count)
        if taken.invalid:
            metrics.refused.labels(protocol, "invalid").inc(len(taken.invalid))
        try:
            too_large = await self._delivery.deliver(taken.messages)
        except Unavailable:
            metrics.refused.labels(protocol, "unavailable").inc(len(taken.messages))
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE, "Kafka has not acknowledged the records: send them again"
            ) from None
        self._count(taken, protocol, too_large)
        return door.accepted(request, taken, too_large)

    def _count(self, taken: Taken, protocol: str, too_large: int) -> None:
        kinds: dict[str, int] = {}
        for message in taken.messages:
            kinds[message.kind] = kinds.get(message.kind, 0) + 1
        if too_large:
            # Which ones is not known, and of one request all have one kind, but for log lines without a trace.
            kinds[taken.messages[0].kind] -= too_large
            self._metrics.refused.labels(protocol, "too_large").inc(too_large)
        for kind, count in kinds.items():
            self._metrics.written.labels(protocol, kind).inc(count)


def _decode(door: Door, request: Request) -> Taken:
    try:
        return door.decode(request)
    except UnknownMediaType as error:
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, str(error)) from None
    except TooManyRecords as error:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error)) from None
    except InvalidInput as error:
        raise Refused(HTTPStatus.BAD_REQUEST, error.detail) from None


def _refusal(door: Door | None, content_type: str, status: HTTPStatus, detail: str) -> Answer:
    if door is None:
        return Answer(status, f"{detail}\n".encode())
    return door.refused(content_type, status, detail)


def _headers(answer: Answer) -> list[tuple[str, str]]:
    headers = [("content-type", answer.content_type)] if answer.body else []
    match answer.status:
        case HTTPStatus.SERVICE_UNAVAILABLE:
            headers.append(("retry-after", str(_RETRY_SECONDS)))
        case HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append(("allow", "POST"))
        case HTTPStatus.UNAUTHORIZED:
            headers.append(("www-authenticate", 'Bearer realm="tracelink", Basic realm="tracelink"'))
    return headers
