"""The gateway as a process, beside the OpenTelemetry Collector, which answers before Kafka has the spans."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from confluent_kafka.admin import AdminClient

from benchmarks import posting
from benchmarks.case import Bench, Case
from benchmarks.cases.gateway import ATTRIBUTES, RESOURCE_ATTRIBUTES, SPANS
from benchmarks.load import PARTITIONS, drop
from benchmarks.peers.otelcol.build import RECEIVING, build
from benchmarks.result import Result, Row, Target
from benchmarks.subject import Sample, Subject, between, running, tracelink, wait_for
from pipeline.kafka.admin import apply
from pipeline.local.ports import free_port
from pipeline.local.server import accepts
from pipeline.settings import TopicSettings
from tracelink.errors import UserError

_PREFIX = "bench.gateway."
_WARM_SECONDS, _SECONDS = 5.0, 20.0
_P99 = 0.15
_OURS, _PEER = "tracelink gateway", "Collector: otlp, batch, kafka"

Started = AbstractContextManager[tuple[Subject, int]]
"""A receiver that runs, and its port."""


@contextmanager
def _gateway(kafka: str) -> Iterator[tuple[Subject, int]]:
    port = free_port()
    environment = {
        "TRACELINK_KAFKA_BOOTSTRAP_SERVERS": kafka,
        "TRACELINK_TOPIC_PREFIX": _PREFIX,
        "TRACELINK_GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "TRACELINK_GATEWAY_GRPC_LISTEN": "",
    }
    with running(tracelink("gateway"), environment) as subject:
        wait_for("the gateway to listen", lambda: accepts(port), subject)
        yield subject, port


@contextmanager
def _collector(bench: Bench) -> Iterator[tuple[Subject, int]]:
    """Run the Collector; raises UserError if it cannot be built."""
    binary, port = build(bench.directory / "otelcol", bench.say), free_port()
    environment = {
        "BROKERS": bench.servers.kafka,
        "TOPIC_PREFIX": _PREFIX,
        "PORT": str(port),
        "GOGC": "300",  # as in the case `join`
    }
    with running([str(binary), "--config", str(RECEIVING)], environment) as subject:
        wait_for("the Collector to listen", lambda: accepts(port), subject)
        yield subject, port


def _measure(name: str, start: Callable[[], Started], resource_attributes: int) -> Row:
    """Measure a receiver under full load, then its answers at half of it."""
    title = f"{name}, {resource_attributes} attributes of the resource"
    try:
        with start() as (subject, port):
            url = f"http://127.0.0.1:{port}/v1/traces"
            _post(url, _WARM_SECONDS, 0, resource_attributes)
            before, began = subject.cpu(), time.monotonic()
            spans, _ = _post(url, _SECONDS, 0, resource_attributes)
            full = between(Sample(began, 0, before), Sample(time.monotonic(), spans, subject.cpu()))
            half = full.records_per_second / SPANS / 2
            _, answers = _post(url, _SECONDS, half, resource_attributes)
            return Row(
                title,
                full.records_per_second,
                full.cpu_us,
                subject.peak_mib(),
                seconds=answers,
                note=f"{full.cores:.2f} cores, {1e6 / full.cpu_us:,.0f} spans/s a core; seconds at half of this load",
            )
    except UserError as error:
        return Row(title, note=f"left out: {error.message}")


def _post(url: str, seconds: float, rate: float, resource_attributes: int) -> tuple[float, dict[str, float]]:
    """Post for so many seconds; returns the spans that were taken, and the latencies."""
    with running(posting.command(url, seconds, rate, resource_attributes)) as load:
        load.wait(seconds + 60)
        output = load.output()
    answered = [int(line) for line in output.splitlines() if line.isdigit()]
    return answered[-1] * SPANS, posting.latencies(output)


def _run(bench: Bench) -> Result:
    kafka = bench.servers.kafka
    admin = AdminClient({"bootstrap.servers": kafka})
    rows = []
    for resource_attributes in (0, RESOURCE_ATTRIBUTES):
        receivers = {_OURS: lambda: _gateway(kafka), _PEER: lambda: _collector(bench)}
        for name, start in receivers.items():
            apply(admin, TopicSettings.load(kafka_bootstrap_servers=kafka, topic_prefix=_PREFIX, partitions=PARTITIONS))
            rows.append(_measure(name, start, resource_attributes))
            drop(admin, [topic for topic in admin.list_topics(timeout=30).topics if topic.startswith(_PREFIX)])
    p99 = max(row.seconds.get("p99", 0.0) for row in rows if row.subject.startswith(_OURS))
    return Result(
        "serving",
        CASE.about,
        rows,
        [Target(f"{_OURS}: p99 seconds of an answer at half of full load, at most {_P99}", p99, _P99, at_most=True)],
    )


CASE = Case(
    "serving",
    f"OTLP over HTTP, {SPANS} spans of {ATTRIBUTES} attributes a request with gzip, until Kafka has them",
    ("kafka",),
    _run,
)
