"""The recovery of a join after a crash with many open traces: its time, and the records that are read again."""

import time
from collections.abc import Callable, Mapping

from benchmarks.case import Bench, Case
from benchmarks.cases.join import LOAD
from benchmarks.result import Result, Row
from benchmarks.subject import wait_for
from benchmarks.workers import JOINED, workers

# Seconds of stream time. Each has the records of 3,333 traces, so 100,000 are open: none closes after its root span.
_IDLE_GAP = "30"
_KILLED_AT = 0.75
"""The share of the load that the first worker has read when it is killed."""

_RECORDS = "tracelink_join_records_total"
_SKIPPED = "tracelink_join_skipped_records_total"
_OPEN = "tracelink_join_open_parts"
_RECOVERED = "tracelink_join_recovery_duration_seconds_count"


def _run(bench: Bench) -> Result:
    kafka, flags = bench.servers.kafka, ("--idle-gap", _IDLE_GAP, "--root-grace", "0")
    records = sum(LOAD.ensure(kafka, bench.say))
    with workers(kafka, LOAD) as group:
        with group.worker("worker", *flags) as first:
            url = first.url()
            first.follow(lambda: first.metric(url, _RECORDS), records * _KILLED_AT)
            before = first.metrics(url)
            first.kill()
        again = before[_RECORDS] - group.committed()
        begun = time.monotonic()
        with group.worker("worker", *flags) as second:
            url = second.url()
            seconds = {"up": time.monotonic() - begun}

            def reached(name: str, least: float) -> Callable[[], bool]:
                return lambda: second.metric(url, name) >= least

            wait_for("its partitions", reached(_RECOVERED, 1), second)
            seconds["has partitions"] = time.monotonic() - begun
            wait_for("its first traces", reached(JOINED, 1), second)
            seconds["first new traces committed"] = time.monotonic() - begun
            wait_for("the position of the first worker", lambda: _read(second.metrics(url)) >= again, second)
            seconds["at the first worker's position"] = time.monotonic() - begun
            row = Row(
                "second worker",
                peak_mib=second.peak_mib(),
                seconds=seconds,
                note=f"since its start; {before[_OPEN]:,.0f} traces were open, {again:,.0f} records are read again,"
                f" {second.metric(url, _SKIPPED):,.0f} of them had been written and are skipped",
            )
    return Result("recovery", CASE.about, [row])


def _read(metrics: Mapping[str, float]) -> float:
    return metrics.get(_RECORDS, 0.0) + metrics.get(_SKIPPED, 0.0)


CASE = Case("recovery", "a join is killed with 100,000 traces open, and another takes over", ("kafka",), _run)
