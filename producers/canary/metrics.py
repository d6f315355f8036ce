"""The metrics of the canary, by stage."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge

from tracelink.metrics import Equation

EQUATION = Equation(
    "tracelink_canary_probes_total",
    ("tracelink_canary_missed_probes_total",),
    holds="At each stage",
    rest="probes that reached it, and the one in progress",
)


class CanaryMetrics:
    """The metrics of one canary, by stage: joined, grouped, elasticsearch, zipkin."""

    def __init__(self, registry: CollectorRegistry, stages: Iterable[str]) -> None:
        self.sent = Counter(
            "tracelink_canary_probes",
            "Probes (traces that fail on purpose) that were due, also while Kafka was unavailable.",
            registry=registry,
        )
        self.missed = Counter(
            "tracelink_canary_missed_probes",
            "Probes that did not reach a stage within canary_within.",
            ("stage",),
            registry=registry,
        )
        self.freshness_seconds = Gauge(
            "tracelink_canary_freshness_seconds",
            "Time from sending the last probe until it reached a stage; if it was missed, how long the canary waited.",
            ("stage",),
            registry=registry,
        )
        self.last_success = Gauge(
            "tracelink_canary_last_success_timestamp_seconds",
            "Unix time at which a probe last reached a stage; 0 if none has since the process started.",
            ("stage",),
            registry=registry,
        )
        for stage in stages:
            self.missed.labels(stage)
            self.last_success.labels(stage)
