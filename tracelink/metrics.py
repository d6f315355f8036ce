"""Every metric: what it counts, and the equations that they keep.

The join, for each partition: records = joined + dead letters + open now + given back.
The workers that group errors: errored traces = occurrences + dead letters, and each occurrence is counted once.
A sink: parts received = written + duplicate + dead letter + not kept + given back, once nothing is in hand.
The canary, at each stage: sent = seen + missed, but for the one that is under way.
A publisher: records = delivered + dropped + in its buffer now, in each process by itself.
"""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tracelink.messages import KINDS

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_FRESHNESS = (0.5, 1, 2.5, 5, 7.5, 10, 15, 30, 60, 120, 300, 900, 3600)


class JoinMetrics:
    """What the join does, by partition."""

    def __init__(self, registry: CollectorRegistry) -> None:
        by_partition = ("partition",)
        self.records = Counter(
            "tracelink_join_records",
            "Records taken in, each once: re-read ones that had gone out before are skipped instead.",
            ("kind", "partition"),
            registry=registry,
        )
        self.skipped = Counter(
            "tracelink_join_skipped_records",
            "Records re-read after a restart or rebalance that had gone out before.",
            by_partition,
            registry=registry,
        )
        self.joined = Counter(
            "tracelink_join_joined_records",
            "Records that went out in a part, its transaction committed.",
            by_partition,
            registry=registry,
        )
        self.given_back = Counter(
            "tracelink_join_given_back_records",
            "Records not yet gone out when the partition left this worker: its next owner reads them again.",
            by_partition,
            registry=registry,
        )
        self.dead_letters = Counter(
            "tracelink_join_dead_letters",
            "Messages that are no record, their transaction committed.",
            ("reason", "partition"),
            registry=registry,
        )
        self.parts = Counter(
            "tracelink_join_parts",
            "Parts of traces that went out, by the reason of their closing.",
            ("reason", "partition"),
            registry=registry,
        )
        self.errored = Counter(
            "tracelink_join_errored_traces",
            "Errored traces, each once within late_for.",
            by_partition,
            registry=registry,
        )
        self.open_traces = Gauge("tracelink_join_open_traces", "Windows open now.", by_partition, registry=registry)
        self.open_records = Gauge(
            "tracelink_join_open_records",
            "Records that are not out yet: in open windows, or in parts whose transaction has not committed.",
            by_partition,
            registry=registry,
        )
        self.open_bytes = Gauge(
            "tracelink_join_open_bytes",
            "Bytes of the records in open windows.",
            by_partition,
            registry=registry,
        )
        self.position_lag = Gauge(
            "tracelink_join_position_lag",
            "Messages not read yet. (The group's committed lag never falls below what the open windows hold.)",
            ("kind", "partition"),
            registry=registry,
        )
        self.watermark_delay = Gauge(
            "tracelink_join_watermark_delay_seconds",
            "How far the partition's watermark is behind the clock.",
            by_partition,
            registry=registry,
        )
        self.transactions = Counter(
            "tracelink_join_transactions",
            "Transactions by outcome: committed, aborted.",
            ("outcome",),
            registry=registry,
        )
        self.transaction_seconds = Histogram(
            "tracelink_join_transaction_seconds",
            "Time from a transaction's last record to its commit.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.recovery_seconds = Histogram(
            "tracelink_join_recovery_seconds",
            "Time from a partition's assignment to its windows being rebuilt.",
            buckets=_FRESHNESS,
            registry=registry,
        )

    def forget(self, partition: int) -> None:
        """Remove the gauges of a partition that another worker has now."""
        for gauge in (self.open_traces, self.open_records, self.open_bytes, self.watermark_delay):
            gauge.remove(str(partition))
        for kind in ("spans", "logs"):
            self.position_lag.remove(kind, str(partition))


class AlertMetrics:
    """What becomes of errored traces."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.located = Counter(
            "tracelink_alerts_occurrences",
            "Errored traces reduced to where their errors began, their transaction committed.",
            registry=registry,
        )
        self.counted = Counter(
            "tracelink_alerts_counted_occurrences",
            "Occurrences counted in their problems, their transaction committed.",
            registry=registry,
        )
        self.dead_letters = Counter(
            "tracelink_alerts_dead_letters",
            "Messages in which no error can be read, their transaction committed.",
            ("reason",),
            registry=registry,
        )
        self.alerts = Counter(
            "tracelink_alerts_raised",
            "Alerts by event: NEW, BACK, RATE, RESOLVED.",
            ("event",),
            registry=registry,
        )
        self.delay_seconds = Histogram(
            "tracelink_alerts_delay_seconds",
            "Time from an errored trace's last record reaching Kafka to its alert being committed.",
            buckets=_FRESHNESS,
            registry=registry,
        )
        self.known = Gauge("tracelink_alerts_known_problems", "Problems known, quiet ones included.", registry=registry)
        self.firing = Gauge("tracelink_alerts_firing_problems", "Problems that fire.", registry=registry)
        self.rules_valid = Gauge(
            "tracelink_alerts_rules_valid",
            "1 while the file of rules is right, 0 while the last right ones are used.",
            registry=registry,
        )
        self.lag = Gauge(
            "tracelink_alerts_lag",
            "Messages of a partition not looked at yet.",
            ("topic", "partition"),
            registry=registry,
        )
        self.transactions = Counter(
            "tracelink_alerts_transactions",
            "Transactions by outcome: committed, aborted.",
            ("outcome",),
            registry=registry,
        )


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
            "Parts by what became of them: written, duplicate, dead_letter, not_kept, given_back (unwritten).",
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
            buckets=_SECONDS,
            registry=registry,
        ).labels(sink)
        self.freshness_seconds = Histogram(
            "tracelink_sink_freshness_seconds",
            "Time from a trace's last record reaching Kafka to its part, or the alert that it raised, being written.",
            ("sink",),
            buckets=_FRESHNESS,
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


class PublisherMetrics:
    """What the publisher in a service does; a process may have several publishers that share these.

    A forked child starts from zero. The methods are not safe to call while the process forks: the publisher sees to it.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        records = Counter(
            "tracelink_publisher_records",
            "Records handed to the publisher: span, log, unlinked_log.",
            ("kind",),
            registry=registry,
        )
        # Looking a label up for every record costs as much as three counters.
        self._records = {kind: records.labels(kind) for kind in KINDS}
        self._delivered = Counter(
            "tracelink_publisher_delivered_records",
            "Records that Kafka has acknowledged.",
            registry=registry,
        )
        self._dropped = Counter(
            "tracelink_publisher_dropped_records",
            "Records lost, by reason: buffer_full, too_large, invalid, undelivered, closed.",
            ("reason",),
            registry=registry,
        )
        self._bytes = Counter(
            "tracelink_publisher_bytes",
            "Bytes of the records handed to the publisher, before compression.",
            registry=registry,
        )

    def record(self, kind: str, size: int) -> None:
        """Count a record of `size` bytes that was handed over."""
        self._records[kind].inc()
        self._bytes.inc(size)

    def deliver(self, count: int = 1) -> None:
        """Count records that Kafka has acknowledged."""
        self._delivered.inc(count)

    def drop(self, reason: str) -> None:
        """Count a record that was lost."""
        self._dropped.labels(reason).inc()

    def reset(self) -> None:
        """Start from zero, as a forked child does: what its parent handed over is in the parent's counts."""
        self._dropped.clear()
        for counter in (*self._records.values(), self._delivered, self._bytes):
            counter.reset()


class ServiceMetrics:
    """What the traced services do, out of their spans: requests, errors, durations, and who calls whom."""

    def __init__(self, registry: CollectorRegistry) -> None:
        by_operation = ("service", "operation")
        self.errors = Counter(
            "tracelink_service_errors",
            "Requests to a service that were errored.",
            by_operation,
            registry=registry,
        )
        self.duration_seconds = Histogram(
            "tracelink_service_request_duration_seconds",
            "Durations of the requests to a service; its count is that of the requests, its exemplars are trace ids.",
            by_operation,
            buckets=_SECONDS,
            registry=registry,
        )
        self.calls = Counter(
            "tracelink_service_calls",
            "Calls from one service to another.",
            ("client", "server"),
            registry=registry,
        )
        self.failed_calls = Counter(
            "tracelink_service_failed_calls",
            "Calls from one service to another that were errored.",
            ("client", "server"),
            registry=registry,
        )


class CanaryMetrics:
    """How the traces fare that `tracelink canary` sends, by stage: joined, grouped, elasticsearch, zipkin."""

    def __init__(self, registry: CollectorRegistry, stages: Iterable[str]) -> None:
        self.sent = Counter(
            "tracelink_canary_sent",
            "Traces that were sent to be followed; where Kafka is away, those that would have been.",
            registry=registry,
        )
        self.missed = Counter(
            "tracelink_canary_missed",
            "Those of them that were not seen at a stage within canary_within.",
            ("stage",),
            registry=registry,
        )
        self.freshness_seconds = Gauge(
            "tracelink_canary_freshness_seconds",
            "Time from sending the last one to seeing it at a stage; where it was missed, how long was waited for it.",
            ("stage",),
            registry=registry,
        )
        self.last_success = Gauge(
            "tracelink_canary_last_success_timestamp_seconds",
            "When one was seen at a stage last, since the epoch; 0 where none was since the process started.",
            ("stage",),
            registry=registry,
        )
        for stage in stages:
            self.missed.labels(stage)
            self.last_success.labels(stage)
