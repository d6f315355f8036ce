"""Zipkin's HTTP API: spans as its reporters send them (https://zipkin.io/zipkin-api/)."""

from collections.abc import Callable
from http import HTTPStatus

from pipeline.formats.decoded import Decoded
from pipeline.formats.zipkin_requests import spans_of_json, spans_of_protobuf
from producers.gateway.protocol import JSON, PROTOBUF, Answer, Encoder, Request, Taken, UnknownMediaType
from tracelink.model.records import ErrorRule, Span

_Decode = Callable[[bytes, ErrorRule, int], Decoded[Span]]

# A reporter may send no content type, and means JSON by it.
_JSON = frozenset({"", JSON})
_V2: dict[str, _Decode] = {**dict.fromkeys(_JSON, spans_of_json), PROTOBUF: spans_of_protobuf}
_V1: dict[str, _Decode] = dict.fromkeys(_JSON, spans_of_json)


class Spans:
    """`/api/v2/spans` and `/api/v1/spans`."""

    protocol = "zipkin"

    def __init__(self, encoder: Encoder, *, version: int) -> None:
        self._encoder = encoder
        self._types = _V1 if version == 1 else _V2

    def decode(self, request: Request) -> Taken:
        """Return the spans of a request; an empty body, or an empty list, has none."""
        decode = self._types.get(request.content_type)
        if decode is None:
            taken = " or ".join(sorted(filter(None, self._types)))
            raise UnknownMediaType(f"this path takes the content type {taken}, not {request.content_type[:100]!r}")
        return self._encoder.spans(decode(request.body, self._encoder.rule, self._encoder.most_records))

    def accepted(self, request: Request, taken: Taken, too_large: int) -> Answer:  # noqa: ARG002 - the protocol's
        """Return 202; the protocol has no partial success, so refused spans make it 400, with the number taken."""
        said = taken.refusal(too_large)
        if not said:
            return Answer(HTTPStatus.ACCEPTED)
        return Answer(HTTPStatus.BAD_REQUEST, f"{said}. All others were taken.\n".encode())

    def refused(self, content_type: str, status: HTTPStatus, detail: str) -> Answer:  # noqa: ARG002 - as text always
        """Return the error as text."""
        return Answer(status, f"{detail}\n".encode())
