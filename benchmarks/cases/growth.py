"""The cost of a record by open traces and by records a trace, and the memory of an open trace."""

from benchmarks.case import Bench, Case
from benchmarks.cases.join import measure_join
from benchmarks.load import Load
from benchmarks.result import Result, Row, Target
from benchmarks.subject import measured, pace, peer, running
from benchmarks.traffic import Shape
from benchmarks.workers import JOINED, SHORT, workers

_OPEN_TRACES = "tracelink_join_open_parts"
_OPEN_RECORDS = "tracelink_join_open_records"
_OPEN_BYTES = "tracelink_join_open_bytes"

_SMALL = Shape(spans=2, logs=1)
_OPEN_SECONDS = 14
"""The time for which a trace stays open: two steps of 4.5 s and the idle gap of 5 s."""
_OPEN = (10_000, 100_000, 1_000_000)
_SPANS = (10, 100, 1000, 10_000)
_RECORDS = 1_000_000
_AT_MOST = 1.3
_RECORD_BYTES, _TRACE_BYTES, _ERRORED_BYTES = 150, 500, 300
_HELD = 200_000
_FEW, _MANY = 2, 16


def _many_open(traces: int) -> Load:
    rate = traces * 3 // _OPEN_SECONDS
    # Two records of a trace are 4.5 s apart.
    return Load(f"open{traces}", _SMALL.templates, traces=traces + _RECORDS, gap=rate * 9 // 6, rate=rate)


def _measure_open(bench: Bench, traces: int) -> Row:
    """Measure with the full number of open traces: from the first that closes to the end of the topic."""
    load = _many_open(traces)
    records = sum(load.ensure(bench.servers.kafka, bench.say))
    closing = records - traces * 3
    flags = ("--max-open-bytes", "4GiB", *SHORT)
    with workers(bench.servers.kafka, load) as group, group.worker("bench", *flags) as subject:
        url = subject.url()
        samples = subject.follow(lambda: subject.metric(url, JOINED), closing * 0.9)
        found = pace(samples, since=closing * 0.05, until=closing)
        seen = subject.metrics(url)
        note = f"{seen[_OPEN_RECORDS]:,.0f} records of {seen[_OPEN_BYTES] / 2**20:,.0f} MiB in them"
        return measured(f"{seen[_OPEN_TRACES]:,.0f} traces open", found, subject, note)


def _measure_held(records: int) -> float:
    """Return the bytes of resident memory that an open trace of so many records takes in addition to their payload."""
    with running(peer("holding", str(_HELD), str(records))) as subject:
        subject.wait()
        return subject.printed()


def _run(bench: Bench) -> Result:
    opened = [_measure_open(bench, traces) for traces in _OPEN]
    wide = [
        measure_join(
            bench,
            Load(f"wide{spans}", Shape(spans, spans // 10).templates, _RECORDS // spans, gap=0),
            *SHORT,
            subject_name=f"{spans:,} spans a trace",
        )
        for spans in _SPANS
    ]
    few, many, errored = _measure_held(_FEW), _measure_held(_MANY), _measure_held(0)
    a_record = (many - few) / (_MANY - _FEW)
    a_trace = few - _FEW * a_record
    held = Row(
        "held in addition to the payload", bytes_per_open_record=a_record, note=f"{a_trace:,.0f} bytes more a trace"
    )
    cost = (opened[-1].cpu_us or 0) / (opened[0].cpu_us or 1)
    targets = [
        Target("cost a record with a million open traces, relative to ten thousand", cost, _AT_MOST, at_most=True),
        Target("bytes a record in memory, in addition to its payload", a_record, _RECORD_BYTES, at_most=True),
        Target("bytes an open trace", a_trace, _TRACE_BYTES, at_most=True),
        Target("bytes a remembered errored id", errored, _ERRORED_BYTES, at_most=True),
    ]
    return Result("growth", CASE.about, [*opened, *wide, held], targets)


CASE = Case("growth", "cost and memory by open traces and by spans a trace", ("kafka",), _run)
