"""The sinks under the contract suite, each with a way to see what its target holds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry

from pipeline.local.stack import Endpoints
from pipeline.local.zipkin import ZIPKIN_ENV
from sinks.base.contract import Sink
from sinks.base.metrics import SinkMetrics
from sinks.base.sampling import TailSampling
from sinks.elasticsearch.settings import ElasticsearchSettings
from sinks.elasticsearch.sink import ElasticsearchSink
from sinks.testing import MemorySink
from sinks.zipkin.settings import ZipkinSettings
from sinks.zipkin.sink import ZipkinSink
from tests.kit.http import http_request
from tests.kit.sink_examples import YEAR_3000
from tests.kit.waiting import eventually
from tracelink.model.records import LogRecord, Span

NOWHERE = "http://127.0.0.1:1"


@dataclass(frozen=True, slots=True)
class Target:
    """A sink and its target."""

    sink: Sink
    spans: Callable[[bytes, int], list[str]]
    """The ids of a trace's spans, sorted, once the target holds at least so many."""
    logs: Callable[[bytes], list[str]] | None
    """The ids of a trace's log lines, sorted; None for a target that takes none."""
    unavailable: Callable[[], Sink]
    """The same sink with its target unavailable."""
    keeping: Callable[[float], Sink]
    """A sink on the same target that keeps a share of the traces."""
    bad_span: Callable[[Span], Span] | None = None
    """A span made into one that the target refuses."""
    bad_log: Callable[[LogRecord], LogRecord] | None = None


def metrics(name: str = "test") -> SinkMetrics:
    return SinkMetrics(CollectorRegistry(), name)


def memory_target() -> Target:
    sink = MemorySink()

    def keeping(share: float) -> MemorySink:
        other = MemorySink(TailSampling(share))
        other.spans, other.logs = sink.spans, sink.logs
        return other

    return Target(
        sink,
        lambda trace_id, _: sorted(span_id for trace, span_id, _ in sink.spans if trace == trace_id),
        lambda trace_id: sorted(log_id for log_id, log in sink.logs.items() if log["traceId"] == trace_id),
        lambda: MemorySink(unavailable=True),
        keeping,
        bad_span=_not_hex,
    )


def zipkin_target(stack: Endpoints) -> Target:
    def make(url: str = stack.zipkin, share: float = 1.0) -> ZipkinSink:
        return ZipkinSink(ZipkinSettings.load(zipkin_url=url, keep_share=share), metrics())

    def spans(trace_id: bytes, at_least: int) -> list[str]:
        def stored() -> list[str]:
            # Zipkin merges repeats when it is asked for a trace; its storage tells whether there are any.
            query = {"query": {"term": {"traceId": trace_id.hex()}}, "size": 100}
            hits = search(stack.elasticsearch, "zipkin-span-*", query)
            return sorted(hit["_source"]["id"] for hit in hits)

        # It stores after it has answered, and drops what is not stored within its ES_TIMEOUT.
        eventually(lambda: len(stored()) >= at_least, seconds=int(ZIPKIN_ENV["ES_TIMEOUT"]) / 1000 + 5)
        return stored()

    return Target(make(), spans, None, lambda: make(NOWHERE), lambda share: make(share=share), bad_span=_not_hex)


def elasticsearch_target(stack: Endpoints, index_prefix: str) -> Target:
    def make(url: str = stack.elasticsearch, share: float = 1.0) -> ElasticsearchSink:
        settings = ElasticsearchSettings.load(elasticsearch_url=url, index_prefix=index_prefix, keep_share=share)
        return ElasticsearchSink(settings, metrics())

    def find(kind: str, trace_id: bytes) -> list[dict[str, Any]]:
        query = {"query": {"term": {"trace.id": trace_id.hex()}}, "size": 100}
        return search(stack.elasticsearch, f"{index_prefix}{kind}-*", query)

    return Target(
        make(),
        lambda trace_id, _: sorted(
            span["id"] for hit in find("traces", trace_id) for span in hit["_source"].get("spans", ())
        ),
        lambda trace_id: sorted(hit["_id"] for hit in find("logs", trace_id)),
        lambda: make(NOWHERE),
        lambda share: make(share=share),
        # The dates of Elasticsearch end in 2262.
        bad_log=lambda log: LogRecord(**(log | {"timestamp": YEAR_3000})),
    )


def search(url: str, index: str, query: dict[str, Any]) -> list[dict[str, Any]]:
    """Search what was written up to now; empty while there is no index, or none that answers yet."""
    http_request("POST", f"{url}/{index}/_refresh")
    answer = http_request("POST", f"{url}/{index}/_search", json=query).json()
    hits: list[dict[str, Any]] = answer.get("hits", {}).get("hits", [])
    return hits


def _not_hex(span: Span) -> Span:
    return Span(**(span | {"id": "not hex"}))
