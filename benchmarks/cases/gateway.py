"""The gateway's work on a request of OTLP, from compressed bytes to encoded messages: one process, without a server."""

import gzip
import resource
import zlib

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from benchmarks.case import Bench, Case
from benchmarks.paired import paired
from benchmarks.result import Result, Row, Target
from pipeline.formats.inflate import Inflater
from pipeline.formats.otlp_requests import spans_of_protobuf
from producers.gateway.protocol import Encoder
from producers.gateway.settings import GatewaySettings
from tracelink.model.codec import SPAN
from tracelink.model.records import Span

SPANS, ATTRIBUTES, RESOURCE_ATTRIBUTES = 100, 13, 20
_ROUNDS, _REPEATS = 15, 10
_MOST_BYTES = 1 << 26
_MOST = 1.35
_NANOSECONDS = 1_795_162_530_123_456_789


def _attributes(prefix: str, count: int, seed: int) -> list[KeyValue]:
    """Return attributes of which every fourth is a number."""
    return [
        KeyValue(
            key=f"{prefix}.attribute.{number}",
            value=AnyValue(int_value=seed * number)
            if number % 4 == 0
            else AnyValue(string_value=f"the value {number} of {prefix} {seed}"),
        )
        for number in range(count)
    ]


def request(resource_attributes: int) -> bytes:
    """Return a request as an SDK sends it, with gzip."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    service = KeyValue(key="service.name", value=AnyValue(string_value="checkout"))
    group.resource.attributes.extend([service, *_attributes("resource", resource_attributes, 1)])
    scope = group.scope_spans.add()
    scope.scope.name = "shop.checkout"
    for number in range(SPANS):
        scope.spans.add(
            trace_id=(number + 1 << 96).to_bytes(16, "big"),
            span_id=(number + 1).to_bytes(8, "big"),
            parent_span_id=(number + 2).to_bytes(8, "big"),
            name="POST /orders",
            kind=2,
            start_time_unix_nano=_NANOSECONDS + number,
            end_time_unix_nano=_NANOSECONDS + number + 1_000_000,
            attributes=_attributes("http", ATTRIBUTES, number),
        )
    return gzip.compress(request.SerializeToString(), 6)


def _read(body: bytes, encoder: Encoder) -> list[Span]:
    """Read a request as the gateway does; returns its spans."""
    inflater = Inflater("gzip", _MOST_BYTES)
    inflater.feed(body)
    decoded = spans_of_protobuf(inflater.finish(), encoder.rule, encoder.most_records)
    encoder.spans(decoded)
    return decoded.records


def _alone(body: bytes, spans: list[Span]) -> None:
    """Inflate and parse a request, and encode as many spans: nothing is mapped."""
    ExportTraceServiceRequest.FromString(zlib.decompress(body, 31))
    for span in spans:
        SPAN.encode(span)


def _measure(resource_attributes: int) -> tuple[Row, Target]:
    """Measure reading a request, beside inflating, parsing and encoding alone."""
    encoder = Encoder(GatewaySettings())
    body = request(resource_attributes)
    spans = _read(body, encoder)
    for span in spans:
        span["tags"] = dict(span["tags"])  # fastavro takes longer for a subclass
    found = paired(
        lambda: _read(body, encoder),
        lambda: _alone(body, spans),
        records=SPANS,
        rounds=_ROUNDS,
        repeats=_REPEATS,
    )
    title = f"OTLP, {ATTRIBUTES} attributes and {resource_attributes} of the resource"
    row = Row(
        title,
        records_per_second=1e6 / found.ours,
        cpu_us=found.ours,
        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        note=f"spans/s of one core; {len(body) // SPANS} bytes a span with gzip; {found.ratio:.2f} times the "
        f"{found.other:.1f} µs of inflating, parsing and encoding alone",
    )
    return row, Target(f"{title}: multiple of these alone, at most {_MOST}", found.ratio, _MOST, at_most=True)


def _run(_: Bench) -> Result:
    measured = [_measure(count) for count in (0, RESOURCE_ATTRIBUTES)]
    return Result("gateway", CASE.about, [row for row, _ in measured], [target for _, target in measured])


CASE = Case("gateway", "requests of OTLP from compressed bytes to encoded messages", (), _run)
