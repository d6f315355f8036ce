"""The HTTP application of the gateway: from a request to its answer."""

import time
from http import HTTPStatus

from granian.rsgi import HTTPProtocol, Scope

from producers.gateway import otlp
from producers.gateway.body import drain, read_body
from producers.gateway.in_hand import Refused, Share
from producers.gateway.intake import Intake, failure
from producers.gateway.lines import Lines
from producers.gateway.protocol import Answer, Door, Encoder, Request
from producers.gateway.settings import GatewaySettings
from producers.gateway.zipkin import Spans


def _doors(encoder: Encoder) -> dict[str, Door]:
    """Return what each path takes."""
    return {
        "/v1/traces": otlp.Traces(encoder),
        "/v1/logs": otlp.Logs(encoder),
        "/v1/metrics": otlp.Metrics(),
        "/api/v2/spans": Spans(encoder, version=2),
        "/api/v1/spans": Spans(encoder, version=1),
        "/v1/lines": Lines(encoder),
    }


class HttpApp:
    """Answers a request when Kafka has its records."""

    def __init__(self, settings: GatewaySettings, intake: Intake, encoder: Encoder) -> None:
        self._settings = settings
        self._intake = intake
        self._doors = _doors(encoder)

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        """Answer one request."""
        if scope.proto != "http":
            return
        door = self._doors.get(scope.path.rstrip("/"))
        content_type = scope.headers.get("content-type", "").partition(";")[0].strip().lower()
        with self._intake.in_hand.request() as share:
            retry_after: int | None = None
            try:
                answer = await self._answer(scope, protocol, door, content_type, share)
            except Refused as refused:
                await drain(protocol)
                answer, retry_after = _refusal(door, content_type, refused), refused.retry_after
            except Exception:  # noqa: BLE001 - the sender gets an answer, whatever the bug
                answer = _refusal(door, content_type, failure(door, scope.path))
            self._intake.answered(door, int(answer.status))
            protocol.response_bytes(int(answer.status), _headers(answer, retry_after), answer.body)

    async def _answer(
        self, scope: Scope, protocol: HTTPProtocol, door: Door | None, content_type: str, share: Share
    ) -> Answer:
        if door is None:
            raise Refused(HTTPStatus.NOT_FOUND, f"no such path; the gateway takes POST {', '.join(self._doors)}")
        if scope.method != "POST":
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "this path takes POST")
        sender = self._intake.check(scope.headers.get("authorization"))
        body = await read_body(scope, protocol, self._intake.in_hand, share, self._settings)
        return await self._intake.take(door, Request(content_type, body, time.time_ns() // 1000, sender), share)


def _refusal(door: Door | None, content_type: str, refused: Refused) -> Answer:
    if door is None:
        return Answer(refused.status, f"{refused.detail}\n".encode())
    return door.refused(content_type, refused.status, refused.detail)


def _headers(answer: Answer, retry_after: int | None) -> list[tuple[str, str]]:
    headers = [("content-type", answer.content_type)] if answer.body else []
    if retry_after is not None:
        headers.append(("retry-after", str(retry_after)))
    match answer.status:
        case HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append(("allow", "POST"))
        case HTTPStatus.UNAUTHORIZED:
            headers.append(("www-authenticate", 'Bearer realm="tracelink", Basic realm="tracelink"'))
    return headers
