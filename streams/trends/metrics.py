"""The metrics of `tracelink trends`; some are of Faust's own sensors."""

import logging
import time
from collections.abc import Callable
from typing import Any

import faust
from faust.types import AppT
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class TrendMetrics:
    """The metrics of one worker."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.records = Counter(
            "tracelink_trends_records",
            "Records that Faust has given to the agents, repeated ones included, by topic.",
            ("topic",),
            registry=registry,
        )
        self.invalid = Counter(
            "tracelink_trends_invalid_records",
            "Invalid records that were skipped, by topic.",
            ("topic",),
            registry=registry,
        )
        self.written = Counter(
            "tracelink_trends_written_curves", "Curves that were written to the topic trends.", registry=registry
        )
        self.curves = Gauge(
            "tracelink_trends_curves", "Curves of the assigned partitions, by kind.", ("kind",), registry=registry
        )
        self.partitions = Gauge(
            "tracelink_trends_assigned_partitions",
            "Partitions of the counted topics that the worker has.",
            registry=registry,
        )
        self.lag = Gauge(
            "tracelink_trends_read_lag_messages",
            "Messages of a partition that the worker has not counted yet, as of its last fetch.",
            ("topic", "partition"),
            registry=registry,
        )
        self.write_seconds = Histogram(
            "tracelink_trends_write_seconds",
            "Time until Kafka has the changed curves and the offsets.",
            registry=registry,
        )
        self.rebalances = Counter(
            "tracelink_trends_rebalances", "Rebalances after which the worker was ready again.", registry=registry
        )
        self.rebalance_seconds = Histogram(
            "tracelink_trends_rebalance_seconds",
            "Time from the start of a rebalance until the curves are restored, by Faust's sensor.",
            buckets=(0.5, 1, 2, 5, 10, 30, 60, 120, 300),
            registry=registry,
        )
        self.send_errors = Counter(
            "tracelink_trends_send_errors", "Records that Kafka did not take; they are sent again.", registry=registry
        )


class FaustSensor(faust.Sensor):
    """Faust's sensor that feeds the metrics, and calls `on_ready` when the tables are restored after a rebalance."""

    logger = logging.getLogger("faust.sensors")  # mode's would be this module's

    def __init__(self, metrics: TrendMetrics, on_ready: Callable[[], None]) -> None:
        super().__init__()
        self._metrics = metrics
        self._on_ready = on_ready

    def on_rebalance_start(self, app: AppT) -> dict[str, Any]:  # noqa: ARG002 - Faust's signature
        """Return the time at which the rebalance started."""
        return {"started": time.monotonic()}

    def on_rebalance_end(self, app: AppT, state: dict[str, Any]) -> None:  # noqa: ARG002 - as above
        """Count a rebalance."""
        self._metrics.rebalances.inc()
        self._metrics.rebalance_seconds.observe(time.monotonic() - state["started"])
        self._on_ready()
