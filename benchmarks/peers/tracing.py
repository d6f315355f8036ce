"""The cost of tracing for the thread that serves requests: prints its CPU time a span in nanoseconds.

usage: python -m benchmarks.peers.tracing tracelink|nothing BROKERS TOPIC_PREFIX

With `tracelink` the service is set up as ours are; with `nothing` by OpenTelemetry's parts alone, whose exporter drops
what it gets.
"""

import sys
import time
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, get_tracer, set_tracer_provider

import tracelink
from benchmarks.peers.saying import rest

# 2,500 spans a second: the batch processor's queue never fills.
_SPANS = 50
_PAUSE = 0.02
_BURSTS = 200
_ATTRIBUTES: dict[str, str | int] = {
    "http.request.method": "GET",
    "http.route": "/api/v1/items/{id}",
    "http.response.status_code": 200,
    "url.path": "/api/v1/items/7",
    "network.protocol.version": "1.1",
    "server.address": "stock",
    "server.port": 8080,
}


class _Nothing(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002 - ignores them on purpose
        return SpanExportResult.SUCCESS


def main(processors: str, brokers: str, topic_prefix: str) -> None:
    """Start and end spans, with pauses as between requests."""
    if processors == "tracelink":
        tracelink.setup("cart", kafka_bootstrap_servers=brokers, topic_prefix=topic_prefix)
    else:
        provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(1.0)))
        provider.add_span_processor(BatchSpanProcessor(_Nothing(), schedule_delay_millis=200))
        set_tracer_provider(provider)
    tracer = get_tracer("cart")
    spent = 0.0
    for _ in range(_BURSTS):
        start = time.thread_time()
        for _ in range(_SPANS):
            tracer.start_span("GET", kind=SpanKind.CLIENT, attributes=_ATTRIBUTES).end()
        spent += time.thread_time() - start
        time.sleep(_PAUSE)
    print(round(spent / (_BURSTS * _SPANS) * 1e9), flush=True)  # noqa: T201 - its answer
    rest()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3])
