"""The metrics of a sink.

A batch is open until the target has answered for all of it and its dead letters are committed. Its parts are counted as
received before the write, and under their outcome after it.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pipeline.runtime.buckets import FRESHNESS, SECONDS
from tracelink.metrics import Equation

EQUATION = Equation(
    "tracelink_sink_received_parts_total",
    ("tracelink_sink_parts_total",),
    holds="In each process",
    rest="parts of the open batch",
)


class SinkMetrics:
    """The metrics of one sink; each process runs one."""

    def __init__(self, registry: CollectorRegistry, sink: str) -> None:
        self.received = Counter(
            "tracelink_sink_received_parts",
            "Parts of traces that the sink read.",
            ("sink",),
            registry=registry,
        ).labels(sink)
        self._parts = Counter(
            "tracelink_sink_parts",
            "Parts of traces, by outcome: written, duplicate (the target had it), dead_letter, not_kept (sampled out, "
            "or empty for this target), released (the sink lost the partition before it wrote the part).",
            ("sink", "outcome"),
            registry=registry,
        )
        self._records = Counter(
            "tracelink_sink_records",
            "Records, by kind (span, log, problem, alert) and outcome: written, duplicate (the target or its part "
            "had it), dead_letter, not_kept.",
            ("sink", "kind", "outcome"),
            registry=registry,
        )
        self.retries = Counter(
            "tracelink_sink_retries",
            "Failed attempts while the target was unavailable. The sink retries each of them.",
            ("sink",),
            registry=registry,
        ).labels(sink)
        self.available = Gauge(
            "tracelink_sink_available",
            "1 while the target answers, 0 while the sink waits for it.",
            ("sink",),
            registry=registry,
        ).labels(sink)
        self.request_seconds = Histogram(
            "tracelink_sink_request_duration_seconds",
            "Duration of one request to the target.",
            ("sink",),
            buckets=SECONDS,
            registry=registry,
        ).labels(sink)
        self.freshness_seconds = Histogram(
            "tracelink_sink_freshness_seconds",
            "Time from the arrival of a part's last record in Kafka until the part, or its alert, was written.",
            ("sink",),
            buckets=FRESHNESS,
            registry=registry,
        ).labels(sink)
        self.lag = Gauge(
            "tracelink_sink_committed_lag_messages",
            "Messages of a partition that the sink has not committed yet.",
            ("sink", "topic", "partition"),
            registry=registry,
        )
        self._sink = sink

    def part(self, outcome: str, count: int = 1) -> None:
        """Count parts with an outcome."""
        self._parts.labels(self._sink, outcome).inc(count)

    def record(self, kind: str, outcome: str, count: int = 1) -> None:
        """Count records with an outcome; `kind` is `span`, `log`, `problem` or `alert`."""
        self._records.labels(self._sink, kind, outcome).inc(count)
