"""The rate of several workers of one group, compared with one worker."""

import os
import time
from contextlib import ExitStack

from benchmarks.case import Bench, Case
from benchmarks.cases.join import LOAD
from benchmarks.load import PARTITIONS
from benchmarks.result import Result, Row
from benchmarks.subject import Sample, Subject, pace
from benchmarks.workers import JOINED, SHORT, workers
from tracelink.errors import UserError

_EVERY = 0.2
_PATIENCE = 300.0


def _measure(bench: Bench, count: int, records: int) -> Row:
    with workers(bench.servers.kafka, LOAD) as group, ExitStack() as stack:
        subjects = [stack.enter_context(group.worker(f"worker-{number}", *SHORT)) for number in range(count)]
        samples, all_at_work = _follow(subjects, records)
        # Before `since` some workers still start; after `until` some have nothing left.
        found = pace(samples, since=all_at_work, until=records * 0.8)
        return Row(
            f"{count} worker{'s' * (count > 1)}",
            found.records_per_second,
            found.cpu_us,
            sum(subject.peak_mib() for subject in subjects),
            note=f"{found.cores:.2f} cores, without the broker's; memory of all",
        )


def _follow(subjects: list[Subject], records: int) -> tuple[list[Sample], float]:
    """Sample the workers together; also returns the number of records joined when the last of them began."""
    urls = [(subject, subject.url()) for subject in subjects]
    samples: list[Sample] = []
    all_at_work: float | None = None
    deadline = time.monotonic() + _PATIENCE
    while not samples or samples[-1].done < records * 0.8:
        joined = [subject.metric(url, JOINED) for subject, url in urls]
        samples.append(Sample(time.monotonic(), sum(joined), sum(subject.cpu() for subject in subjects)))
        if all_at_work is None and all(joined):
            all_at_work = sum(joined)
        if time.monotonic() > deadline:
            raise UserError(f"only {samples[-1].done:,.0f} records after {_PATIENCE:.0f} s")
        time.sleep(_EVERY)
    if all_at_work is None:
        raise UserError("The load is too small: it was joined before every worker had begun.")
    return samples, all_at_work


def _run(bench: Bench) -> Result:
    records = sum(LOAD.ensure(bench.servers.kafka, bench.say))
    rows = [_measure(bench, count, records) for count in (1, 2, PARTITIONS)]
    cores = (
        f"{os.cpu_count()} cores for workers and broker: more workers than cores show the cost of sharing, no speed-up"
    )
    return Result("scaling", f"{CASE.about}; {cores}", rows)


CASE = Case("scaling", f"workers of one group catch up on {PARTITIONS} partitions", ("kafka",), _run)
