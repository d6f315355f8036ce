"""The metrics of a publisher, and the equations that metrics keep."""

from collections.abc import Callable
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter

from tracelink.kafka.messages import KINDS


class Equation(NamedTuple):
    """Metrics that add up: `whole` is the sum of `parts`, and of `rest`, which no metric shows.

    Each metric is the sum over its labels. `holds` says where and when the equation holds.
    """

    whole: str
    parts: tuple[str, ...]
    holds: str
    rest: str = ""

    def difference(self, total: Callable[[str], float]) -> float:
        """Return the whole without the parts: how much the rest is. `total` gives the sum of a metric."""
        return total(self.whole) - sum(map(total, self.parts))


EQUATION = Equation(
    "tracelink_publisher_records_total",
    ("tracelink_publisher_delivered_records_total", "tracelink_publisher_dropped_records_total"),
    holds="In each process",
    rest="records in the buffer",
)


class PublisherMetrics:
    """The metrics of the publishers in one process; all publishers of the process share them.

    A forked child starts from zero. The methods are not safe to call while the process forks: the publisher sees to it.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        records = Counter(
            "tracelink_publisher_records",
            "Records given to the publisher, by kind: span, log, unlinked_log.",
            ("kind",),
            registry=registry,
        )
        # Looking a label up for every record costs as much as three counters.
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
