"""Figures of the pipeline, from the metrics of its processes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

import urllib3
from prometheus_client.parser import text_string_to_metric_families

from pipeline.model.problems import Event
from producers.demo.load import Load

_EVENTS = get_args(Event)
_OUTCOMES = ("written", "duplicate", "not_kept", "dead_letter")


class Samples:
    """The metric samples of one process."""

    def __init__(self, text: str) -> None:
        self._samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def total(self, name: str, **labels: str) -> int:
        """Sum the samples with a name and these labels."""
        return round(
            sum(
                sample.value
                for sample in self._samples
                if sample.name == name and labels.items() <= sample.labels.items()
            )
        )


@dataclass(frozen=True, slots=True)
class SinkFigures:
    """Figures of a sink: parts of traces by outcome, and uncommitted messages."""

    name: str
    outcomes: Mapping[str, int]
    lag: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of the shop and of the pipeline's processes."""

    requests: int
    failed: int
    unanswered: int
    gateway_requests: int
    gateway_records: int
    spans: int
    logs: int
    open_traces: int
    parts: int
    errored: int
    join_lag: int
    alerts: Mapping[str, int]
    """By event."""
    known_problems: int
    alerts_lag: int
    dead_letters: int
    sinks: tuple[SinkFigures, ...]


def figures(load: Load, gateway: Samples, join: Samples, alerts: Samples, sinks: Mapping[str, Samples]) -> Figures:
    """Collect the figures from the load and the samples of the processes."""
    of_sinks = tuple(
        SinkFigures(
            name,
            {outcome: samples.total("tracelink_sink_parts_total", outcome=outcome) for outcome in _OUTCOMES},
            samples.total("tracelink_sink_committed_lag_messages"),
        )
        for name, samples in sinks.items()
    )
    return Figures(
        requests=len(load.answered) + len(load.unanswered),
        failed=sum(one.failed for one in load.answered),
        unanswered=len(load.unanswered),
        gateway_requests=gateway.total("tracelink_gateway_requests_total"),
        gateway_records=gateway.total("tracelink_gateway_written_records_total"),
        spans=join.total("tracelink_join_records_total", kind="spans"),
        logs=join.total("tracelink_join_records_total", kind="logs"),
        open_traces=join.total("tracelink_join_open_parts"),
        parts=join.total("tracelink_join_parts_total"),
        errored=join.total("tracelink_join_errored_traces_total"),
        join_lag=join.total("tracelink_join_read_lag_messages"),
        alerts={event: alerts.total("tracelink_alerts_raised_total", event=event) for event in _EVENTS},
        known_problems=alerts.total("tracelink_alerts_known_problems"),
        alerts_lag=alerts.total("tracelink_alerts_read_lag_messages"),
        dead_letters=join.total("tracelink_join_dead_letters_total")
        + alerts.total("tracelink_alerts_dead_letters_total")
        + sum(samples.total("tracelink_sink_records_total", outcome="dead_letter") for samples in sinks.values())
        + sum(sink.outcomes["dead_letter"] for sink in of_sinks),
        sinks=of_sinks,
    )


def scrape(pool: urllib3.PoolManager, url: str) -> Samples:
    """Fetch the metrics of a process; empty if it does not answer."""
    try:
        return Samples(pool.request("GET", f"{url}/metrics").data.decode())
    except urllib3.exceptions.HTTPError:
        return Samples("")
