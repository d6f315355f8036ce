"""The metrics of a publisher, and equations that hold between metrics."""

from collections.abc import Callable
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter

from tracelink.kafka.messages import KINDS


class Equation(NamedTuple):
    """An equation between metrics: `whole` is the sum of `parts` and of `rest`, which has no metric.

    Each metric is the sum over its labels. `holds` says where and when the equation holds.
    """

    whole: str
    parts: tuple[str, ...]
    holds: str
    rest: str = ""

    def difference(self, total: Callable[[str], float]) -> float:
        """Return the rest: the whole minus the parts. `total` returns the sum of a metric over its labels."""
        return total(self.whole) - sum(map(total, self.parts))


EQUATION = Equation(
    "tracelink_publisher_records_total",
    ("tracelink_publisher_delivered_records_total", "tracelink_publisher_dropped_records_total"),
    holds="In each process",
    rest="records in the buffer",
)


class PublisherMetrics:
    """The metrics of the publishers in one process; all publishers of the process share them.

    A forked child starts from zero. The methods are not fork-safe: the publisher calls them under its fork lock.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        records = Counter(
            "tracelink_publisher_records",
            "Records given to the publisher, by kind: span, log, unlinked_log.",
            ("kind",),
            registry=registry,
        )
        # A lookup by label for each record would cost as much as three increments.
        self._records = {kind: records.labels(kind) for kind in KINDS}
        self._delivered = Counter(
            "tracelink_publisher_delivered_records",
            "Records that Kafka acknowledged.",
            registry=registry,
        )
        self._dropped = Counter(
            "tracelink_publisher_dropped_records",
            "Records that the publisher lost, by reason: buffer_full, too_large, invalid, undelivered, closed.",
            ("reason",),
            registry=registry,
        )
        self._bytes = Counter(
            "tracelink_publisher_bytes",
            "Bytes of the records given to the publisher, before compression.",
            registry=registry,
        )

    def record(self, kind: str, size: int) -> None:
        """Count a record of `size` bytes that the service published."""
        self._records[kind].inc()
        self._bytes.inc(size)

    def deliver(self, count: int = 1) -> None:
        """Count records that Kafka acknowledged."""
        self._delivered.inc(count)

    def drop(self, reason: str) -> None:
        """Count a dropped record."""
        self._dropped.labels(reason).inc()

    def reset(self) -> None:
        """Reset all metrics to zero in a forked child: the parent counts its own records."""
        self._dropped.clear()
        for counter in (*self._records.values(), self._delivered, self._bytes):
            counter.reset()
