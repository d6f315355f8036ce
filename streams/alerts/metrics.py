"""What the workers that group errors count.

Errored traces = occurrences + dead letters, and each occurrence is counted once. All of them count at a commit, so a
worker that is held up between two commits does not change the sums over all workers; what commits in a worker that is
killed, or fenced, before it has noted that is in no worker's sums.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pipeline.runtime.buckets import FRESHNESS


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
            buckets=FRESHNESS,
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
