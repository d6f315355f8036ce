"""The metrics of the canary, by stage."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge

from tracelink.metrics import Equation

EQUATION = Equation(
    "tracelink_canary_probes_total",
    ("tracelink_canary_missed_probes_total",),
    holds="At each stage",
    rest="probes that were seen there, and the one under way",
)


class CanaryMetrics:
    """The metrics of one canary, by stage: joined, grouped, elasticsearch, zipkin."""

    def __init__(self, registry: CollectorRegistry, stages: Iterable[str]) -> None:
        self.sent = Counter(
            "tracelink_canary_probes",
            "Probes (traces that fail on purpose) that were due. It also counts while Kafka is unavailable.",
            registry=registry,
        )
        self.missed = Counter(
            "tracelink_canary_missed_probes",
            "Probes that were not seen at a stage within canary_within.",
            ("stage",),
            registry=registry,
        )
        self.freshness_seconds = Gauge(
            "tracelink_canary_freshness_seconds",
            "Time from sending the last probe until a stage had it; if it was missed, how long the canary waited.",
            ("stage",),
            registry=registry,
        )
        self.last_success = Gauge(
            "tracelink_canary_last_success_timestamp_seconds",
            "Unix time at which a probe was last seen at a stage, 0 if none was since the process started.",
            ("stage",),
            registry=registry,
        )
        for stage in stages:
            self.missed.labels(stage)
            self.last_success.labels(stage)
