"""All processes at once, with more input than Elasticsearch can take, to see if another stage is near its limit."""

import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass

import urllib3

from benchmarks import pacing
from benchmarks.case import Bench, Case
from benchmarks.load import Load
from benchmarks.result import Result, Row, Target
from benchmarks.subject import Sample, Subject, between, running, tracelink
from benchmarks.traffic import Shape
from benchmarks.workers import JOINED, workers

_RATE = 6_000
_SECONDS = 60
_WARM_SECONDS = 20.0
_MEASURED_SECONDS = 25.0
_IDLE_GAP = 2.0
_OF_CAPACITY = 0.6
_LOAD = Load("pipeline", Shape().templates, traces=0, gap=0)


@dataclass(frozen=True, slots=True)
class _Stage:
    """A process of the pipeline, with the names of its metrics of records done and of its lag in messages."""

    name: str
    subject: Subject
    done: str
    lag: str

    def sample(self) -> tuple[Sample, float]:
        """Return a sample and its lag."""
        seen = self.subject.metrics(self.subject.url())
        return Sample(time.monotonic(), seen.get(self.done, 0.0), self.subject.cpu()), seen.get(self.lag, 0.0)


def _run(bench: Bench) -> Result:
    kafka, prefix = bench.servers.kafka, f"bench-{uuid.uuid4().hex[:8]}-"
    _LOAD.empty(kafka)
    environment = {
        "TRACELINK_KAFKA_BOOTSTRAP_SERVERS": kafka,
        "TRACELINK_TOPIC_PREFIX": _LOAD.prefix,
        "TRACELINK_ZIPKIN_URL": bench.servers.zipkin,
        "TRACELINK_ELASTICSEARCH_URL": bench.servers.elasticsearch,
        "TRACELINK_INDEX_PREFIX": prefix,
    }
    with workers(kafka, _LOAD) as group, ExitStack() as started:
        join = started.enter_context(group.worker("bench", "--idle-gap", str(_IDLE_GAP)))
        sinks = [
            started.enter_context(running(tracelink("sink", name, "--sink-group", f"{prefix}{name}"), environment))
            for name in ("zipkin", "elasticsearch")
        ]
        stages = [
            _Stage("join", join, JOINED, "tracelink_join_read_lag_messages"),
            *(
                _Stage(f"sink {name}", sink, "tracelink_sink_records_total", "tracelink_sink_committed_lag_messages")
                for name, sink in zip(("zipkin", "elasticsearch"), sinks, strict=True)
            ),
        ]
        command = pacing.command(kafka, _LOAD.prefix, _RATE, _SECONDS, Shape())
        with running(command):
            time.sleep(_WARM_SECONDS)
            before = [stage.sample() for stage in stages]
            time.sleep(_MEASURED_SECONDS)
            after = [stage.sample() for stage in stages]
        rows, targets = [], []
        for stage, (first, lag), (last, lag_after) in zip(stages, before, after, strict=True):
            found = between(first, last)
            rows.append(
                Row(
                    stage.name,
                    found.records_per_second,
                    found.cpu_us,
                    stage.subject.peak_mib(),
                    note=f"{found.cores:.2f} cores; its lag went from {lag:,.0f} to {lag_after:,.0f} messages",
                )
            )
            # The capacity of a process is one core: Python runs on one at a time.
            targets.append(Target(f"cores used by {stage.name}", found.cores, _OF_CAPACITY, at_most=True))
    urllib3.request("DELETE", f"{bench.servers.elasticsearch}/{prefix}*")
    return Result("pipeline", f"{CASE.about}: {_RATE:,} records/s come in", rows, targets)


CASE = Case(
    "pipeline", "the join and both sinks at once, into real servers", ("kafka", "zipkin", "elasticsearch"), _run
)
