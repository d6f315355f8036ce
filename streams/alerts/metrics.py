"""The metrics of the workers that group errored traces into problems.

All metrics of the equations change at a commit. So a worker that stalls between two commits does not change the sums
over all workers. If a worker dies or is fenced after a commit and before it counts, that transaction is missing from
the sums.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pipeline.runtime.buckets import FRESHNESS
from tracelink.metrics import Equation

_HOLDS = "Over all workers, unless one died between a commit and its count"

EQUATIONS = (
    Equation(
        "tracelink_join_errored_traces_total",
        ("tracelink_alerts_located_occurrences_total", "tracelink_alerts_dead_letters_total"),
        holds=_HOLDS,
        rest="errored traces not read yet",
    ),
    Equation(
        "tracelink_alerts_located_occurrences_total",
        ("tracelink_alerts_counted_occurrences_total",),
        holds=_HOLDS,
        rest="occurrences in the topic `errors`, not counted yet",
    ),
)


class AlertMetrics:
    """The metrics of one worker."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.located = Counter(
            "tracelink_alerts_located_occurrences",
            "Errored traces in which the worker found where the error began, and committed it to the topic errors.",
            registry=registry,
        )
        self.counted = Counter(
            "tracelink_alerts_counted_occurrences",
            "Occurrences that were added to their problems, and committed.",
            registry=registry,
        )
        self.dead_letters = Counter(
            "tracelink_alerts_dead_letters",
            "Invalid messages that the worker wrote to the dead letters, by reason.",
            ("reason",),
            registry=registry,
        )
        self.alerts = Counter(
            "tracelink_alerts_raised",
            "Alerts raised, by event: NEW, BACK, RATE, RESOLVED.",
            ("event",),
            registry=registry,
        )
        self.delay_seconds = Histogram(
            "tracelink_alerts_delay_seconds",
            "Time from the arrival of an errored trace's last record in Kafka to the commit of its alert.",
            buckets=FRESHNESS,
            registry=registry,
        )
        self.known = Gauge(
            "tracelink_alerts_known_problems", "Problems that are known, including resolved ones.", registry=registry
        )
        self.firing = Gauge("tracelink_alerts_firing_problems", "Problems that fire now.", registry=registry)
        self.rules_valid = Gauge(
            "tracelink_alerts_rules_valid",
            "1 while the rules file is valid, 0 while it is not and the last valid rules are used.",
            registry=registry,
        )
        self.lag = Gauge(
            "tracelink_alerts_read_lag_messages",
            "Messages of a partition that the worker has not read yet.",
            ("topic", "partition"),
            registry=registry,
        )
        self.transactions = Counter(
            "tracelink_alerts_transactions",
            "Kafka transactions, by outcome: committed, aborted.",
            ("outcome",),
            registry=registry,
        )
