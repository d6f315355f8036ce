"""The join's metrics, kept so that they balance: see `tracelink.metrics`."""

from collections.abc import Sequence

from streams.partition import Output, Partition
from tracelink.metrics import JoinMetrics

_KINDS = ("spans", "logs")


class Books:
    """Counts what the partitions take in and what goes out of them."""

    def __init__(self, metrics: JoinMetrics) -> None:
        self._metrics = metrics

    def commit(self, number: int, done: Output) -> None:
        """Count what a committed transaction has sent out of a partition."""
        metrics, label = self._metrics, str(number)
        metrics.joined.labels(label).inc(done.records)
        metrics.errored.labels(label).inc(done.errored)
        for reason, count in done.parts.items():
            metrics.parts.labels(reason, label).inc(count)
        for cause, count in done.dead_letters.items():
            metrics.dead_letters.labels(cause, label).inc(count)

    def report(self, partition: Partition, lag: Sequence[int], now: float) -> None:
        """Count what was taken in since the last call, and show how the partition is.

        `lag` is in messages, of spans and of logs; `now` is the time of day in seconds.
        """
        self._count_taken(partition)
        metrics, label = self._metrics, str(partition.number)
        metrics.open_traces.labels(label).set(len(partition.window))
        metrics.open_records.labels(label).set(_open_records(partition))
        metrics.open_bytes.labels(label).set(partition.window.size)
        metrics.watermark_delay.labels(label).set(now - partition.watermark / 1000 if partition.watermark else 0)
        for kind, behind in zip(_KINDS, lag, strict=True):
            metrics.position_lag.labels(kind, label).set(max(0, behind))

    def give_back(self, partition: Partition) -> None:
        """Count what a partition that leaves has taken in and not sent out: its next owner reads it again."""
        self._count_taken(partition)
        self._metrics.given_back.labels(str(partition.number)).inc(_open_records(partition))
        self._metrics.forget(partition.number)

    def _count_taken(self, partition: Partition) -> None:
        label = str(partition.number)
        for kind, name in enumerate(_KINDS):
            self._metrics.records.labels(name, label).inc(partition.count_taken(kind))
        self._metrics.skipped.labels(label).inc(partition.skipped)
        self._metrics.given_back.labels(label).inc(partition.left)
        partition.skipped = partition.left = 0


def _open_records(partition: Partition) -> int:
    return partition.window.records + partition.pending.records + partition.pending.dead_letters.total()
