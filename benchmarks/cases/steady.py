"""The join at a steady rate: the time from the close of a trace's window until the trace is readable."""

import time

from confluent_kafka import OFFSET_END, Consumer, TopicPartition

from benchmarks import pacing
from benchmarks.case import Bench, Case
from benchmarks.load import PARTITIONS, Load
from benchmarks.result import Result, Row, Target, percentiles
from benchmarks.subject import Sample, between, running
from benchmarks.traffic import Shape
from benchmarks.workers import JOINED, workers
from pipeline.model.splice import decode
from tracelink.kafka.topics import TopicNames

_RATE = 50_000
_SECONDS = 40
_WARM_SECONDS = 8.0
_IDLE_GAP = 5.0
_P99 = 0.5
_LOAD = Load("steady", Shape().templates, traces=0, gap=0)


def _run(bench: Bench) -> Result:
    kafka = bench.servers.kafka
    _LOAD.empty(kafka)
    load = pacing.command(kafka, _LOAD.prefix, _RATE, _SECONDS, Shape())
    with workers(kafka, _LOAD) as group, group.worker("bench", "--idle-gap", str(_IDLE_GAP)) as join:
        url = join.url()
        with running(load) as publisher:
            time.sleep(_IDLE_GAP + _WARM_SECONDS)
            before = Sample(time.monotonic(), join.metric(url, JOINED), join.cpu())
            published = -publisher.printed()
            latencies = _latencies(kafka, _SECONDS - _IDLE_GAP - 2 * _WARM_SECONDS)
            after = Sample(time.monotonic(), join.metric(url, JOINED), join.cpu())
            published += publisher.printed()
        found = between(before, after)
        row = Row(
            "tracelink join",
            found.records_per_second,
            found.cpu_us,
            join.peak_mib(),
            seconds=percentiles(latencies),
            note=f"{found.cores:.2f} cores; {len(latencies):,} traces sampled",
        )
    rate = published / (after.at - before.at)
    targets = [
        Target("p99 seconds from a window's close to readable", row.seconds["p99"], _P99, at_most=True),
        Target("records/s published meanwhile", rate, _RATE * 0.98),
    ]
    return Result("steady", CASE.about, [row], targets)


def _latencies(kafka: str, seconds: float) -> list[float]:
    """Read the traces as they come; returns the seconds since their windows closed."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": "bench-steady",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
        }
    )
    topic = TopicNames(_LOAD.prefix).traces
    consumer.assign([TopicPartition(topic, number, OFFSET_END) for number in range(PARTITIONS)])
    found: list[float] = []
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            message = consumer.poll(0.1)
            now = time.time()
            # Decoding costs more than joining, so only one trace of sixteen is sampled.
            if message is None or message.error() is not None or (message.key() or b"")[-1:] != b"0":
                continue
            trace = decode(message.value() or b"").trace
            if trace["reason"] == "IDLE":
                found.append(now - trace["closed"] / 1000 - _IDLE_GAP)
    finally:
        consumer.close()
    return found


CASE = Case("steady", "50 thousand records a second, and the time until their traces are readable", ("kafka",), _run)
