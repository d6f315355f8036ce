"""What the join counts, for each partition: records = joined + dead letters + open now + given back.

A commit, a report (once a second) and the leaving of a partition each bring all of them up to date: the equation holds
wherever a worker's loop is held up, but for a scrape in the midst of such an update. A message counts once it is taken
in, not when it is fetched. A worker that cannot learn that its transaction has committed gives the records back, and
their next owner counts them as skipped.
"""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pipeline.runtime.buckets import FRESHNESS, SECONDS
from streams.join.partition import JoinPartition, Output

_KINDS = ("spans", "logs")


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
        self.released = Counter(
            "tracelink_join_released_records",
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
            buckets=SECONDS,
            registry=registry,
        )
        self.recovery_seconds = Histogram(
            "tracelink_join_recovery_seconds",
            "Time from a partition's assignment to its windows being rebuilt.",
            buckets=FRESHNESS,
            registry=registry,
        )

    def forget(self, partition: int) -> None:
        """Remove the gauges of a partition that another worker has now."""
        for gauge in (self.open_traces, self.open_records, self.open_bytes, self.watermark_delay):
            gauge.remove(str(partition))
        for kind in ("spans", "logs"):
            self.position_lag.remove(kind, str(partition))


class MetricsRecorder:
    """Counts what the partitions take in and what goes out of them."""

    def __init__(self, metrics: JoinMetrics) -> None:
        self._metrics = metrics

    def commit(self, partition: JoinPartition, done: Output) -> None:
        """Count what a committed transaction has sent out of a partition, and what it was made of."""
        metrics, label = self._metrics, str(partition.number)
        metrics.joined.labels(label).inc(done.records)
        metrics.errored.labels(label).inc(done.errored)
        for reason, count in done.parts.items():
            metrics.parts.labels(reason, label).inc(count)
        for cause, count in done.dead_letters.items():
            metrics.dead_letters.labels(cause, label).inc(count)
        self._count_taken(partition)

    def report(self, partition: JoinPartition, lag: Sequence[int], now: float) -> None:
        """Count what was taken in since the last call, and show how the partition is.

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
        """Count what a partition that leaves has taken in and not sent out: its next owner reads it again."""
        self._count_taken(partition)
        self._metrics.released.labels(str(partition.number)).inc(_open_records(partition))
        self._metrics.forget(partition.number)

    def _count_taken(self, partition: JoinPartition) -> None:
        """Count what was taken in since the last call, and show how much of it all is not out."""
        label = str(partition.number)
        for kind, name in enumerate(_KINDS):
            self._metrics.records.labels(name, label).inc(partition.count_taken(kind))
        self._metrics.skipped.labels(label).inc(partition.skipped)
        self._metrics.released.labels(label).inc(partition.left)
        partition.skipped = partition.left = 0
        self._metrics.open_records.labels(label).set(_open_records(partition))


def _open_records(partition: JoinPartition) -> int:
    return partition.window.records + partition.pending.records + partition.pending.dead_letters.total()
