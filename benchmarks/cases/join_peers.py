"""The usual alternatives to the join, on its load."""

import os
import time
import uuid
from tempfile import TemporaryDirectory
from typing import Literal

from confluent_kafka.admin import AdminClient
from urllib3.exceptions import HTTPError

from benchmarks.case import Bench
from benchmarks.load import Load, drop, renew
from benchmarks.otlp import OtlpLoad
from benchmarks.peers.otelcol.build import CONFIG, build
from benchmarks.result import Row
from benchmarks.subject import measured, pace, peer, running, wait_for
from benchmarks.traffic import records_in
from pipeline.local.ports import free_port
from tracelink.errors import UserError
from tracelink.kafka.topics import TopicNames

_WAIT_SECONDS = 5.0
"""Equal to the join's idle gap."""

_SPANS = "otelcol_receiver_accepted_spans"
_LOGS = "otelcol_receiver_accepted_log_records"
_HELD = "otelcol_processor_groupbytrace_num_traces_in_memory"
_RELEASED = "otelcol_processor_groupbytrace_spans_released"
_PARTS = "otelcol_processor_groupbytrace_traces_released"
_SENT = "otelcol_exporter_sent_spans"
_FAILED = "otelcol_exporter_send_failed_spans"


def measure_faust(bench: Bench, load: Load, records: int) -> Row:
    """Measure a stock Faust app over the first `records` of the load."""
    kafka, group, output = bench.servers.kafka, f"bench-faust-{uuid.uuid4().hex[:8]}", f"{load.prefix}faust-traces"
    admin = AdminClient({"bootstrap.servers": kafka})
    renew(admin, [output])
    with TemporaryDirectory(prefix="bench-") as folder:
        environment = {"BROKERS": kafka, "TOPIC_PREFIX": load.prefix, "GROUP": group, "FAUST_DATADIR": folder}
        command = peer("faust_join", "worker", "--without-web", "--loglevel", "warn")
        with running(command, environment) as subject:
            found = pace(subject.follow(subject.printed, records), since=records * 0.05, until=records)
            note = f"{found.cores:.2f} cores; spans and logs in a dict, the first {records:,} records"
            row = measured("stock Faust app", found, subject, note)
    own = [topic for topic in admin.list_topics(timeout=30).topics if topic.startswith(group)]
    drop(admin, [output, *own])
    return row


def measure_collector(
    bench: Bench, load: Load, *, exporter: Literal["nop", "kafka"], spans_a_message: Literal[1, 100]
) -> Row:
    """Measure the OpenTelemetry Collector over the load as OTLP; a row without figures if it cannot be built.

    It holds every trace for the wait by wall-clock time; the rate leaves out the wait for the last traces.
    """
    name = f"Collector, {spans_a_message} a message, to {exporter}"
    try:
        binary = build(bench.directory / "otelcol", bench.say)
    except UserError as error:
        return Row(name, note=f"left out: {error.message}")
    kafka, otlp = bench.servers.kafka, OtlpLoad(load, spans_a_message)
    otlp.ensure(kafka, bench.say)
    spans, logs = records_in(load.templates(), load.traces)
    admin, output = AdminClient({"bootstrap.servers": kafka}), TopicNames(otlp.prefix).traces
    renew(admin, [output])
    url = f"http://127.0.0.1:{free_port()}"
    environment = {
        "BROKERS": kafka,
        "TOPIC_PREFIX": otlp.prefix,
        "GROUP": f"bench-collector-{uuid.uuid4().hex[:8]}",
        "EXPORTER": exporter,
        "WAIT": f"{_WAIT_SECONDS:.0f}s",
        "WORKERS": str(os.cpu_count()),
        "METRICS_PORT": url.rpartition(":")[2],
        "GOGC": "300",  # a quarter less CPU than with Go's own 100, for about three times the memory
    }

    def metrics() -> dict[str, float]:
        try:
            return subject.metrics(url)
        except HTTPError:  # it is not up yet
            return {}

    def accepted() -> float:
        found = metrics()
        return found.get(_SPANS, 0.0) + found.get(_LOGS, 0.0)

    def left() -> dict[str, float] | None:
        """Return the metrics as soon as it holds no trace and has sent the released ones, else None."""
        found = metrics()
        sent = exporter == "nop" or found.get(_SENT, 0.0) + found.get(_FAILED, 0.0) >= found.get(_RELEASED, 0.0)
        return found if sent and found.get(_HELD) == 0 else None

    with running([str(binary), "--config", str(CONFIG)], environment) as subject:
        first = [sample for sample in subject.follow(accepted, spans + logs) if not sample.done][-1]
        found = wait_for("the last traces", left, subject)
        seconds = time.monotonic() - first.at - _WAIT_SECONDS
        lost = spans - found[_RELEASED if exporter == "nop" else _SENT]
        row = Row(
            name,
            (spans + logs) / seconds,
            (subject.cpu() - first.cpu) / (spans + logs) * 1e6,
            subject.peak_mib(),
            note=f"logs are only read; {found[_PARTS]:,.0f} parts of {load.traces:,} traces, {lost:,.0f} spans lost",
        )
    drop(admin, [output])
    return row
