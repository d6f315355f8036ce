"""OTLP (https://opentelemetry.io/docs/specs/otlp/): traces, logs, and a polite no to metrics."""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.rpc import code_pb2
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from pipeline.formats.otlp_requests import logs_of_json, logs_of_protobuf, spans_of_json, spans_of_protobuf
from producers.gateway.protocol import JSON, PROTOBUF, Answer, Encoder, Request, Taken, UnknownMediaType

_log = logging.getLogger(__name__)

_PROTOBUF = frozenset({PROTOBUF, "application/protobuf"})
CODES = {
    HTTPStatus.BAD_REQUEST: code_pb2.INVALID_ARGUMENT,
    HTTPStatus.UNAUTHORIZED: code_pb2.UNAUTHENTICATED,
    HTTPStatus.REQUEST_TIMEOUT: code_pb2.DEADLINE_EXCEEDED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: code_pb2.RESOURCE_EXHAUSTED,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: code_pb2.INVALID_ARGUMENT,
    HTTPStatus.TOO_MANY_REQUESTS: code_pb2.RESOURCE_EXHAUSTED,
    HTTPStatus.INTERNAL_SERVER_ERROR: code_pb2.INTERNAL,
    HTTPStatus.SERVICE_UNAVAILABLE: code_pb2.UNAVAILABLE,
}
"""gRPC's code of each status with which a request is refused."""


class _OtlpDoor:
    """The parts that all paths of OTLP share; an answer has the encoding of its request."""

    protocol = "otlp"

    def refused(self, content_type: str, status: HTTPStatus, detail: str) -> Answer:
        """Return the error as google.rpc.Status."""
        return _encoded(status, Status(code=CODES.get(status, code_pb2.UNKNOWN), message=detail), content_type)


class _Records(_OtlpDoor):
    """A path for records."""

    _response: type[Message]
    _rejected: str
    """The field of a partial success with the number of refused records."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def accepted(self, request: Request, taken: Taken, too_large: int) -> Answer:
        """Return the answer, with the number of refused records."""
        response: Any = self._response()
        if said := _said(taken, too_large):
            setattr(response.partial_success, self._rejected, taken.invalid + too_large)
            response.partial_success.error_message = said
        return _encoded(HTTPStatus.OK, response, request.content_type)


class Traces(_Records):
    """`/v1/traces`."""

    _response = ExportTraceServiceResponse
    _rejected = "rejected_spans"

    def decode(self, request: Request) -> Taken:
        """Return the spans of a request."""
        decode = _decoder(request, spans_of_protobuf, spans_of_json)
        return self._encoder.spans(decode(request.body, self._encoder.rule, self._encoder.most_records))


class Logs(_Records):
    """`/v1/logs`."""

    _response = ExportLogsServiceResponse
    _rejected = "rejected_log_records"

    def decode(self, request: Request) -> Taken:
        """Return the log records of a request."""
        decode = _decoder(request, logs_of_protobuf, logs_of_json)
        encoder = self._encoder
        return encoder.logs(decode(request.body, encoder.rule, encoder.most_records, request.digest, request.received))


class Metrics(_OtlpDoor):
    """`/v1/metrics`: accepted and dropped, because SDKs that are refused log an error every minute."""

    def __init__(self) -> None:
        self._said = False

    def decode(self, request: Request) -> Taken:  # noqa: ARG002 - nothing is read
        """Return nothing."""
        if not self._said:
            self._said = True
            _log.info("a sender exports metrics, which are dropped: set OTEL_METRICS_EXPORTER=none there")
        return Taken()

    def accepted(self, request: Request, taken: Taken, too_large: int) -> Answer:  # noqa: ARG002 - see `decode`
        """Return success."""
        return _encoded(HTTPStatus.OK, ExportMetricsServiceResponse(), request.content_type)


def _decoder(request: Request, protobuf: Callable[..., Any], json: Callable[..., Any]) -> Callable[..., Any]:
    if request.content_type in _PROTOBUF:
        return protobuf
    if request.content_type == JSON:
        return json
    raise UnknownMediaType(f"OTLP has the content type {PROTOBUF} or {JSON}")


def _said(taken: Taken, too_large: int) -> str:
    """Return the text of a partial success; of one without refused records it is a warning."""
    repaired = [f"{count} times: {kind}" for kind, count in taken.notes.items()]
    return ". ".join(filter(None, [taken.refusal(too_large), f"Repaired {', '.join(repaired)}" if repaired else ""]))


def _encoded(status: HTTPStatus, message: Message, content_type: str) -> Answer:
    if content_type == JSON:
        return Answer(status, MessageToJson(message, indent=None).encode(), JSON)
    return Answer(status, message.SerializeToString(), PROTOBUF)
