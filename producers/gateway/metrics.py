"""The metrics of the gateway.

A request is in hand from its first byte to its answer. Its records are counted as received when it is decoded, and as
written or refused before it is answered.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pipeline.runtime.buckets import SECONDS
from tracelink.metrics import Equation

EQUATION = Equation(
    "tracelink_gateway_received_records_total",
    ("tracelink_gateway_written_records_total", "tracelink_gateway_refused_records_total"),
    holds="In each process",
    rest="records of requests in hand",
)


class GatewayMetrics:
    """The metrics of the gateway; `protocol` is `otlp`, `zipkin` or `lines`, and `none` for paths of no protocol."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "tracelink_gateway_requests",
            "Requests that were answered, by protocol (otlp, zipkin, lines, none) and status of HTTP or gRPC.",
            ("protocol", "status"),
            registry=registry,
        )
        self.bytes = Counter(
            "tracelink_gateway_body_bytes",
            "Bytes of the requests' bodies, decompressed, by protocol.",
            ("protocol",),
            registry=registry,
        )
        self.received = Counter(
            "tracelink_gateway_received_records",
            "Records that were decoded or refused, by protocol.",
            ("protocol",),
            registry=registry,
        )
        self.written = Counter(
            "tracelink_gateway_written_records",
            "Records that Kafka acknowledged, by protocol and kind: span, log, unlinked_log.",
            ("protocol", "kind"),
            registry=registry,
        )
        self.refused = Counter(
            "tracelink_gateway_refused_records",
            "Records that were refused with an answer that says so, by protocol and reason: invalid, too_large, "
            "unavailable (not acknowledged by Kafka, or too many bytes in hand: the sender may repeat the request).",
            ("protocol", "reason"),
            registry=registry,
        )
        self.repaired = Counter(
            "tracelink_gateway_repairs",
            "Repairs of values that do not follow their protocol, by protocol and kind.",
            ("protocol", "kind"),
            registry=registry,
        )
        self.round_seconds = Histogram(
            "tracelink_gateway_round_duration_seconds",
            "Duration of one round: producing the records of some requests until Kafka has acknowledged all.",
            buckets=SECONDS,
            registry=registry,
        )
        self.in_hand_requests = Gauge(
            "tracelink_gateway_in_hand_requests",
            "Requests that are not answered yet.",
            registry=registry,
        )
        self.in_hand_bytes = Gauge(
            "tracelink_gateway_in_hand_bytes",
            "Bytes of the requests that are not answered yet: bodies, decompressed, and records in memory.",
            registry=registry,
        )
