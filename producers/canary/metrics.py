"""What the canary counts, at each stage: sent = seen + missed, but for the one that is under way."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge


class CanaryMetrics:
    """How the traces fare that `tracelink canary` sends, by stage: joined, grouped, elasticsearch, zipkin."""

    def __init__(self, registry: CollectorRegistry, stages: Iterable[str]) -> None:
        self.sent = Counter(
            "tracelink_canary_sent",
            "Traces that were sent to be followed; where Kafka is away, those that would have been.",
            registry=registry,
        )
        self.missed = Counter(
            "tracelink_canary_missed",
            "Those of them that were not seen at a stage within canary_within.",
            ("stage",),
            registry=registry,
        )
        self.freshness_seconds = Gauge(
            "tracelink_canary_freshness_seconds",
            "Time from sending the last one to seeing it at a stage; where it was missed, how long was waited for it.",
            ("stage",),
            registry=registry,
        )
        self.last_success = Gauge(
            "tracelink_canary_last_success_timestamp_seconds",
            "When one was seen at a stage last, since the epoch; 0 where none was since the process started.",
            ("stage",),
            registry=registry,
        )
        for stage in stages:
            self.missed.labels(stage)
            self.last_success.labels(stage)
