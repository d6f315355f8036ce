"""What a publisher counts: records = delivered + dropped + in its buffer now, in each process by itself."""

from prometheus_client import CollectorRegistry, Counter

from tracelink.kafka.messages import KINDS


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
