"""What a sink counts.

Parts received = written + duplicate + dead letter + not kept + given back, once nothing is in hand. A batch is in hand
until the target has answered for all of it and its dead letters are committed: as long as the target is away or a call
hangs, the parts received are more than the others by those of that batch, and never fewer.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pipeline.runtime.buckets import FRESHNESS, SECONDS


class SinkMetrics:
    """What one sink does; each process runs one."""

    def __init__(self, registry: CollectorRegistry, sink: str) -> None:
        self.received = Counter(
            "tracelink_sink_parts_received",
            "Parts of traces read from the topic.",
            ("sink",),
            registry=registry,
        ).labels(sink)
        self._parts = Counter(
            "tracelink_sink_parts",
            "Parts by what became of them: written, duplicate, dead_letter, not_kept, released (unwritten).",
            ("sink", "outcome"),
            registry=registry,
        )
        self._records = Counter(
            "tracelink_sink_records",
            "Records by what became of them: written, duplicate, dead_letter, not_kept.",
            ("sink", "kind", "outcome"),
            registry=registry,
        )
        self.retries = Counter(
            "tracelink_sink_retries",
            "Batches sent again after the target was unavailable.",
            ("sink",),
            registry=registry,
        ).labels(sink)
        self.available = Gauge(
            "tracelink_sink_available",
            "1 while the target takes batches, 0 while it is away.",
            ("sink",),
            registry=registry,
        ).labels(sink)
        self.request_seconds = Histogram(
            "tracelink_sink_request_seconds",
            "Time of one request to the target.",
            ("sink",),
            buckets=SECONDS,
            registry=registry,
        ).labels(sink)
        self.freshness_seconds = Histogram(
            "tracelink_sink_freshness_seconds",
            "Time from a trace's last record reaching Kafka to its part, or the alert that it raised, being written.",
            ("sink",),
            buckets=FRESHNESS,
            registry=registry,
        ).labels(sink)
        self.lag = Gauge(
            "tracelink_sink_lag",
            "Messages of a partition not written yet.",
            ("sink", "topic", "partition"),
            registry=registry,
        )
        self._sink = sink

    def part(self, outcome: str, count: int = 1) -> None:
        """Count parts of an outcome."""
        self._parts.labels(self._sink, outcome).inc(count)

    def record(self, kind: str, outcome: str, count: int = 1) -> None:
        """Count records of an outcome (`kind` is `span`, `log`, `problem` or `alert`)."""
        self._records.labels(self._sink, kind, outcome).inc(count)
