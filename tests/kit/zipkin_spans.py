"""Any span that Zipkin's two formats can both write, as JSON of v2 and as a message of zipkin.proto3.

The messages are those of py_zipkin.
"""

from ipaddress import IPv4Address, IPv6Address
from typing import Any

from hypothesis import strategies as st
from py_zipkin.encoding.protobuf import zipkin_pb2

Json = dict[str, Any]

_TEXTS = st.text(min_size=1, max_size=12)
_IDS = st.binary(min_size=8, max_size=8) | st.sampled_from([bytes(8), b"\0" * 7 + b"\7", b"\1", b"\1" * 9])
_TIMES = (
    st.integers(1_795_162_530_000_000, 1_795_162_530_999_999)
    | st.integers(1, 2**64 - 1)
    | st.sampled_from([1, 1_795_162_530, 1_795_162_530_123, 10**14, 5 * 10**17, 2**63 - 1, 2**63])
)
_ENDPOINTS = st.fixed_dictionaries(
    {},
    optional={
        "serviceName": _TEXTS,
        "ipv4": st.ip_addresses(v=4).map(str),
        "ipv6": (st.ip_addresses(v=6) | st.just(IPv6Address("::ffff:10.0.0.7"))).map(str),
        "port": st.integers(1, 65535) | st.sampled_from([-1, 65536, 2**31 - 1]),
    },
)

# The order of its fields is seen where an annotation is kept as JSON.
_ANNOTATIONS = st.tuples(st.just(0) | _TIMES, _TEXTS).map(lambda found: {"timestamp": found[0], "value": found[1]})

SPANS: st.SearchStrategy[Json] = st.fixed_dictionaries(
    {
        "traceId": (st.binary(min_size=16, max_size=16) | st.binary(max_size=17)).map(bytes.hex),
        "id": _IDS.map(bytes.hex),
    },
    optional={
        "parentId": _IDS.map(bytes.hex),
        "kind": st.sampled_from(["CLIENT", "SERVER", "PRODUCER", "CONSUMER"]),
        "name": _TEXTS,
        "timestamp": _TIMES,
        "duration": _TIMES,
        "localEndpoint": _ENDPOINTS,
        "remoteEndpoint": _ENDPOINTS,
        "annotations": st.lists(_ANNOTATIONS, max_size=3),
        "tags": st.dictionaries(
            _TEXTS | st.sampled_from(["error", "http.status_code", "field.duration"]),
            st.text(max_size=12) | st.sampled_from(["false", "503"]),
            max_size=4,
        ),
        "debug": st.just(value=True),
        "shared": st.just(value=True),
    },
)
"""Spans as JSON of Zipkin v2, with valid and invalid ids, times and ports."""


def message(span: Json) -> zipkin_pb2.Span:
    """Return a span as a message of zipkin.proto3; what is absent stays so."""
    found = zipkin_pb2.Span(
        trace_id=bytes.fromhex(span["traceId"]),
        id=bytes.fromhex(span["id"]),
        parent_id=bytes.fromhex(span.get("parentId", "")),
        kind=zipkin_pb2.Span.Kind.Value(span.get("kind", "SPAN_KIND_UNSPECIFIED")),
        annotations=[zipkin_pb2.Annotation(**one) for one in span.get("annotations", [])],
        tags=span.get("tags"),
        **{name: span[name] for name in ("name", "timestamp", "duration", "debug", "shared") if name in span},
    )
    for name, endpoint in (("localEndpoint", found.local_endpoint), ("remoteEndpoint", found.remote_endpoint)):
        if name in span:
            endpoint.CopyFrom(_endpoint(span[name]))
    return found


def _endpoint(endpoint: Json) -> zipkin_pb2.Endpoint:
    found = zipkin_pb2.Endpoint(service_name=endpoint.get("serviceName", ""), port=endpoint.get("port", 0))
    if "ipv4" in endpoint:
        found.ipv4 = IPv4Address(endpoint["ipv4"]).packed
    if "ipv6" in endpoint:
        found.ipv6 = IPv6Address(endpoint["ipv6"]).packed
    return found


def list_of(*spans: zipkin_pb2.Span) -> bytes:
    """Return the bytes of a request with these spans."""
    found: bytes = zipkin_pb2.ListOfSpans(spans=spans).SerializeToString()
    return found
