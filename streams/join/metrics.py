"""The metrics of the join, by partition.

A commit, a report (once a second) and the release of a partition each update all metrics of the equation together. So
the equation also holds while the worker's loop is held up. A message counts when the join takes it in, not when the
client fetches it. A worker that cannot learn that its transaction was committed counts the records as released; their
next owner counts them as skipped.
"""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pipeline.runtime.buckets import FRESHNESS, SECONDS
from streams.join.partition import JoinPartition, Output
from tracelink.metrics import Equation

EQUATION = Equation(
    "tracelink_join_records_total",
    (
        "tracelink_join_joined_records_total",
        "tracelink_join_dead_letters_total",
        "tracelink_join_open_records",
        "tracelink_join_released_records_total",
    ),
    holds="In each worker and each of its partitions, except for a scrape in the middle of an update",
)

_KINDS = ("spans", "logs")


class JoinMetrics:
    """The metrics of one worker of the join."""

    def __init__(self, registry: CollectorRegistry) -> None:
        by_partition = ("partition",)
        self.records = Counter(
            "tracelink_join_records",
            "Messages of spans and logs that the join took in, each once. Skipped records do not count.",
            ("kind", "partition"),
            registry=registry,
        )
        self.skipped = Counter(
            "tracelink_join_skipped_records",
            "Records read again after a restart or rebalance, and skipped: they were in a committed part.",
            by_partition,
            registry=registry,
        )
        self.joined = Counter(
            "tracelink_join_joined_records",
            "Records in parts whose transaction was committed.",
            by_partition,
            registry=registry,
        )
        self.released = Counter(
            "tracelink_join_released_records",
            "Records in no committed part when the worker lost the partition. Its next owner reads them again.",
            by_partition,
            registry=registry,
        )
        self.dead_letters = Counter(
            "tracelink_join_dead_letters",
            "Invalid messages of spans and logs that the join wrote to the dead letters, by reason.",
            ("reason", "partition"),
            registry=registry,
        )
        self.parts = Counter(
            "tracelink_join_parts",
            "Committed parts of traces, by why they closed: IDLE, AGE, ROOT, FULL, PRESSURE.",
            ("reason", "partition"),
            registry=registry,
        )
        self.errored = Counter(
            "tracelink_join_errored_traces",
            "Errored traces written to error-traces. Each trace counts once within late_for.",
            by_partition,
            registry=registry,
        )
        self.open_traces = Gauge(
            "tracelink_join_open_parts", "Parts that are open now.", by_partition, registry=registry
        )
        self.open_records = Gauge(
            "tracelink_join_open_records",
            "Records and dead letters that are not committed yet: in open parts, or in an open transaction.",
            by_partition,
            registry=registry,
        )
        self.open_bytes = Gauge(
            "tracelink_join_open_bytes",
            "Bytes of the records in open parts.",
            by_partition,
            registry=registry,
        )
        self.position_lag = Gauge(
            "tracelink_join_read_lag_messages",
            "Messages not read yet. The lag of the consumer group is higher: it includes the records in open parts.",
            ("kind", "partition"),
            registry=registry,
        )
        self.watermark_delay = Gauge(
            "tracelink_join_watermark_delay_seconds",
            "How far the watermark of the partition is behind the worker's clock.",
            by_partition,
            registry=registry,
        )
        self.transactions = Counter(
            "tracelink_join_transactions",
            "Kafka transactions, by outcome: committed, aborted.",
            ("outcome",),
            registry=registry,
        )
        self.transaction_seconds = Histogram(
            "tracelink_join_commit_duration_seconds",
            "Time from the last record of a transaction to the end of its commit.",
            buckets=SECONDS,
            registry=registry,
        )
        self.recovery_seconds = Histogram(
            "tracelink_join_recovery_duration_seconds",
            "Time to read the committed offsets and the journal after an assignment.",
            buckets=FRESHNESS,
            registry=registry,
        )

    def forget(self, partition: int) -> None:
        """Remove the gauges of a released partition."""
        for gauge in (self.open_traces, self.open_records, self.open_bytes, self.watermark_delay):
            gauge.remove(str(partition))
        for kind in ("spans", "logs"):
            self.position_lag.remove(kind, str(partition))


class MetricsRecorder:
    """Updates the metrics of the partitions."""

    def __init__(self, metrics: JoinMetrics) -> None:
        self._metrics = metrics

    def commit(self, partition: JoinPartition, done: Output) -> None:
        """Count a partition's output in a committed transaction, and the records taken in since the last call."""
        metrics, label = self._metrics, str(partition.number)
        metrics.joined.labels(label).inc(done.records)
        metrics.errored.labels(label).inc(done.errored)
        for reason, count in done.parts.items():
            metrics.parts.labels(reason, label).inc(count)
        for cause, count in done.dead_letters.items():
            metrics.dead_letters.labels(cause, label).inc(count)
        self._count_taken(partition)

    def report(self, partition: JoinPartition, lag: Sequence[int], now: float) -> None:
        """Count the records taken in since the last call, and set the partition's gauges.

        `lag` is in messages, of spans and of logs; `now` is the time of day in seconds.
        """
        self._count_taken(partition)
        metrics, label = self._metrics, str(partition.number)
        metrics.open_traces.labels(label).set(len(partition.window))
        metrics.open_bytes.labels(label).set(partition.window.size)
        metrics.watermark_delay.labels(label).set(now - partition.watermark / 1000 if partition.watermark else 0)
        for kind, behind in zip(_KINDS, lag, strict=True):
            metrics.position_lag.labels(kind, label).set(max(0, behind))

    def release(self, partition: JoinPartition) -> None:
        """Count the uncommitted records of a released partition: its next owner reads them again."""
        self._count_taken(partition)
        self._metrics.released.labels(str(partition.number)).inc(_open_records(partition))
        self._metrics.forget(partition.number)

    def _count_taken(self, partition: JoinPartition) -> None:
        """Count the records taken in since the last call, and set the gauge of open records."""
        label = str(partition.number)
        for kind, name in enumerate(_KINDS):
            self._metrics.records.labels(name, label).inc(partition.count_taken(kind))
        self._metrics.skipped.labels(label).inc(partition.skipped)
        self._metrics.released.labels(label).inc(partition.left)
        partition.skipped = partition.left = 0
        self._metrics.open_records.labels(label).set(_open_records(partition))


def _open_records(partition: JoinPartition) -> int:
    return partition.window.records + partition.pending.records + partition.pending.dead_letters.total()
