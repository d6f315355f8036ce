"""The join at full speed through full topics, beside the limit and the usual alternatives."""

from collections.abc import Mapping
from pathlib import Path

from benchmarks.case import Bench, Case
from benchmarks.cases.join_peers import measure_collector, measure_faust
from benchmarks.load import Load
from benchmarks.result import Result, Row, Target
from benchmarks.subject import measured, pace, peer, running
from benchmarks.traffic import Shape, recorded
from benchmarks.workers import JOINED, SHORT, workers
from tracelink.kafka.topics import TopicNames

LOAD = Load("plain", Shape().templates, traces=200_000, gap=100)

# Relative to the counting loop's rate, the Collector's CPU cost, and the naive program's rate.
_OF_COUNTING = 0.55
_OF_COLLECTOR = 3.0
_OF_FAUST = 15.0
_CPU_US = 4.0
_FAUST_RECORDS = 150_000
_TUNED = {"fetch.queue.backoff.ms": "10"}


def measure_join(bench: Bench, load: Load, *flags: str, subject_name: str = "tracelink join") -> Row:
    """Measure one worker over a load from its beginning, without the last traces, which wait for the clock."""
    records = sum(load.ensure(bench.servers.kafka, bench.say))
    with workers(bench.servers.kafka, load) as group, group.worker("bench", *flags) as subject:
        url = subject.url()
        samples = subject.follow(lambda: subject.metric(url, JOINED), records * 0.85)
        found = pace(samples, since=records * 0.05, until=records)
        return measured(subject_name, found, subject)


def _measure_counting(bench: Bench, name: str, properties: Mapping[str, str]) -> Row:
    names = TopicNames(LOAD.prefix)
    records = sum(LOAD.ensure(bench.servers.kafka, bench.say))
    pairs = [f"{key}={value}" for key, value in properties.items()]
    with running(peer("counting", bench.servers.kafka, str(records), names.spans, names.logs, *pairs)) as subject:
        found = pace(subject.follow(subject.printed, records), since=records * 0.05, until=records * 0.95)
        return measured(name, found, subject)


def _recorded(folder: Path | None) -> list[Load]:
    if folder is None:
        return []
    return [
        Load("boutique", lambda: recorded(folder, "boutique"), traces=15_000, gap=10),
        Load("trainticket", lambda: recorded(folder, "trainticket"), traces=10_000, gap=10),
    ]


def _run(bench: Bench) -> Result:
    stock = _measure_counting(bench, "counting loop, its client's defaults", {})
    counting = _measure_counting(bench, "counting loop", _TUNED)
    join = measure_join(bench, LOAD, *SHORT)
    again = _measure_counting(bench, "counting loop, again", _TUNED)
    faust = measure_faust(bench, LOAD, _FAUST_RECORDS)
    collectors = [
        measure_collector(bench, LOAD, exporter="nop", spans_a_message=1),
        measure_collector(bench, LOAD, exporter="nop", spans_a_message=100),
        measure_collector(bench, LOAD, exporter="kafka", spans_a_message=1),
    ]
    real = [
        measure_join(bench, load, *SHORT, subject_name=f"tracelink join, {load.name}")
        for load in _recorded(bench.recorded)
    ]
    rates = [row.records_per_second or 0.0 for row in (counting, again)]
    targets = [
        Target(
            "share of the counting loop's records/s", (join.records_per_second or 0) / (sum(rates) / 2), _OF_COUNTING
        ),
        Target("CPU µs a record", join.cpu_us or 0, _CPU_US, at_most=True),
        Target(
            "multiple of the stock Faust app's records/s",
            (join.records_per_second or 0) / (faust.records_per_second or 1),
            _OF_FAUST,
        ),
    ]
    targets += [
        Target(f"multiple of the join's CPU a record: {row.subject}", row.cpu_us / (join.cpu_us or 1), _OF_COLLECTOR)
        for row in collectors
        if row.cpu_us is not None
    ]
    return Result("join", CASE.about, [stock, counting, join, again, faust, *collectors, *real], targets)


CASE = Case("join", "catch-up at full speed through 3 million records", ("kafka",), _run)
