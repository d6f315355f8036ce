"""A span as Zipkin's v2 API has it (https://zipkin.io/zipkin-api/): our names and units are Zipkin's own."""

from operator import itemgetter
from typing import Any

from tracelink.records import Span, print_trace_id

_VALUE = itemgetter(1)


def zipkin_span(span: Span) -> dict[str, Any]:
    """Return a span as a JSON object of Zipkin v2, its trace id printed as it came.

    Nulls, empties, zeros and falses are left out: Zipkin reads a zero timestamp or duration as none.
    """
    found: dict[str, Any] = dict(filter(_VALUE, span.items()))
    found.pop("flags", None)
    found["traceId"] = print_trace_id(span["traceId"], span["flags"])
    if local := found.get("localEndpoint"):
        found["localEndpoint"] = dict(filter(_VALUE, local.items()))
    if remote := found.get("remoteEndpoint"):
        found["remoteEndpoint"] = dict(filter(_VALUE, remote.items()))
    return found
