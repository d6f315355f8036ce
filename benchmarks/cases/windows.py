"""The windows of the join under senders with OpenTelemetry's defaults: parts of a trace, and the time to its alert.

Services of plain SDKs run in real time, and an exporter notes when each record would reach Kafka. The join's own code
then makes parts of the same arrivals under each candidate. No server takes part. The arrivals stay in a file, to try
more candidates on them: for each kind its traces, each with its end and its records (kind, time, root or not).
"""

import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean

import orjson
from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span, set_span_in_context

from benchmarks.arrivals import Arrival, Part, held, join
from benchmarks.case import Bench, Case
from benchmarks.result import Result, Row, Target, percentiles
from streams.join.settings import JoinSettings
from streams.join.window import LOGS, SPANS

_PAIRS = 10
"""Pairs of services; the timers of each pair are apart by another part of the exporters' period."""
_PERIOD = 5.0
"""Seconds from export to export of the SDK's BatchSpanProcessor by default."""
_PERIODS = 14
_TRACES = 60
"""Of each kind and pair, spread over all periods."""
_LEFT = 3 * _PERIOD
"""Seconds after the last record until all are exported."""
_RATE = 50_000
_RECORD_BYTES = 290
"""Mean payload of a recorded span or log line: 37 thousand of 182 bytes, 31 thousand of 417."""
# Seconds of idle_gap and of root_grace.
_CANDIDATES = ((5, None), (10, None), (10, 6), (30, 6))


@dataclass(frozen=True, slots=True)
class _Kind:
    """Traces whose root, in the first service, ends `after` seconds after the child, in the second.

    `lines`: each writes a log line at its end. Without `spans` only the lines are published.
    """

    name: str
    after: float
    lines: bool = False
    spans: bool = True


_KINDS = (
    *[_Kind(f"root ends {after} s after its child", after) for after in (0, 2, 5, 10, 20)],
    _Kind("root ends 2 s after its child, a line each", 2, lines=True),
    _Kind("root ends 5 s before its child", -5),
    _Kind("lines alone, 2 s apart", 2, lines=True, spans=False),
)


@dataclass(slots=True)
class _Run:
    """The arrivals of all records by trace, and the kind of each trace and the time in seconds of its end."""

    arrivals: defaultdict[int, list[Arrival]] = field(default_factory=lambda: defaultdict(list))
    kinds: dict[int, _Kind] = field(default_factory=dict)
    ends: dict[int, float] = field(default_factory=dict)


class _Spans(SpanExporter):
    """Notes the time of each export."""

    def __init__(self, run: _Run) -> None:
        self._run = run

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        at = round(time.time() * 1000)
        for span in spans:
            context = span.get_span_context()
            if context is not None and self._run.kinds[context.trace_id].spans:
                arrival = Arrival(context.trace_id, SPANS, at, span.parent is None)
                self._run.arrivals[context.trace_id].append(arrival)
        return SpanExportResult.SUCCESS


class _Lines(LogRecordExporter):
    """Notes the time of each export."""

    def __init__(self, run: _Run) -> None:
        self._run = run

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        at = round(time.time() * 1000)
        for line in batch:
            trace = line.log_record.trace_id or 0
            self._run.arrivals[trace].append(Arrival(trace, LOGS, at))
        return LogRecordExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30000) -> bool:  # noqa: ARG002 - nothing is ever waiting
        """Do nothing."""
        return True

    def shutdown(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class _Service:
    """A service under the SDK's defaults."""

    tracers: TracerProvider
    loggers: LoggerProvider

    def line(self, context: Context) -> None:
        self.loggers.get_logger("bench").emit(
            timestamp=time.time_ns(), context=context, severity_number=SeverityNumber.INFO, body="a line"
        )


@contextmanager
def _service(run: _Run) -> Iterator[_Service]:
    tracers, loggers = TracerProvider(shutdown_on_exit=False), LoggerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(_Spans(run)))
    loggers.add_log_record_processor(BatchLogRecordProcessor(_Lines(run)))
    try:
        yield _Service(tracers, loggers)
    finally:
        tracers.shutdown()
        loggers.shutdown()


def _record(say: Callable[[str], None]) -> _Run:
    """Run the services, and return the arrivals."""
    run = _Run()
    with ExitStack() as started:
        seconds = [started.enter_context(_service(run)) for _ in range(_PAIRS)]
        begun = time.monotonic()
        firsts: list[_Service] = []
        for pair in range(_PAIRS):
            time.sleep(max(0.0, begun + (pair + 0.5) * _PERIOD / _PAIRS - time.monotonic()))
            firsts.append(started.enter_context(_service(run)))
        plan = _plan(list(zip(firsts, seconds, strict=True)), run)
        total = max(at for at, _ in plan) + _LEFT
        say(f"running {2 * _PAIRS} services for {total:.0f} s")
        begun = time.monotonic()
        for at, act in plan:
            time.sleep(max(0.0, begun + at - time.monotonic()))
            act()
        time.sleep(_LEFT)
    return run


def _plan(pairs: Sequence[tuple[_Service, _Service]], run: _Run) -> list[tuple[float, Callable[[], None]]]:
    """Return what to do, and when, in seconds from the begin."""
    chance = random.Random(17)
    plan: list[tuple[float, Callable[[], None]]] = []
    for first, second in pairs:
        for kind in _KINDS:
            for number in range(_TRACES):
                at = (number + chance.random()) / _TRACES * _PERIODS * _PERIOD
                root = first.tracers.get_tracer("bench").start_span("root")
                context = set_span_in_context(root)
                child = second.tracers.get_tracer("bench").start_span("child", context)
                run.kinds[root.get_span_context().trace_id] = kind
                # If both are due at once, the child ends first.
                plan.append((at + max(0.0, -kind.after), _ending(second, child, kind, None)))
                plan.append((at + max(0.0, kind.after), _ending(first, root, kind, run.ends)))
    return sorted(plan, key=lambda one: one[0])


def _ending(service: _Service, span: Span, kind: _Kind, ends: dict[int, float] | None) -> Callable[[], None]:
    """Return a function that ends a span, with its log line; it notes the time in `ends`."""

    def end() -> None:
        if kind.lines:
            service.line(set_span_in_context(span))
        span.end()
        if ends is not None:
            ends[span.get_span_context().trace_id] = time.time()

    return end


def _measure(run: _Run, idle_gap: float, root_grace: float | None) -> Iterator[tuple[_Kind, Row, float]]:
    """Yield a row for each kind of traces, and the share of its traces that came in several parts."""
    limits = replace(
        JoinSettings.load().limits(),
        idle_gap=round(idle_gap * 1000),
        root_grace=None if root_grace is None else round(root_grace * 1000),
    )
    found = join([one for mine in run.arrivals.values() for one in mine], limits)
    traces: Mapping[_Kind, list[int]] = {
        kind: [trace for trace, its in run.kinds.items() if its is kind] for kind in _KINDS
    }
    for kind, mine in traces.items():
        split = fmean(len(found[one]) > 1 for one in mine)
        alerts = [_with_root(found[one]) / 1000 - run.ends[one] for one in mine]
        records = [one for trace in mine for one in run.arrivals[trace]]
        open_seconds = sum(held(run.arrivals[one], found[one]) for one in mine) / len(records)
        seconds = percentiles(alerts)
        mib = _RATE * open_seconds * _RECORD_BYTES / 2**20
        row = Row(
            f"{idle_gap:g}/{'-' if root_grace is None else f'{root_grace:g}'}, {kind.name}",
            seconds={"mean": fmean(alerts), "p99": seconds["p99"]},
            note=f"{split:.0%} in parts; {mib:,.0f} MiB open at {_RATE:,} records/s, each for {open_seconds:.1f} s",
        )
        yield kind, row, split


def _with_root(parts: Sequence[Part]) -> float:
    """Return when the part with the root was written; without one, the last part."""
    return next((part.written for part in parts if part.has_root), parts[-1].written)


def _keep(run: _Run, path: Path) -> None:
    kept: dict[str, list[object]] = {kind.name: [] for kind in _KINDS}
    for trace, kind in run.kinds.items():
        arrivals = [(one.kind, one.at, one.is_root) for one in run.arrivals[trace]]
        kept[kind.name].append((round(run.ends[trace] * 1000), arrivals))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(kept))


def _run(bench: Bench) -> Result:
    run = _record(bench.say)
    _keep(run, bench.directory / "arrivals.json")
    defaults = JoinSettings.load()
    rows, targets = [], []
    for idle_gap, root_grace in _CANDIDATES:
        for kind, row, split in _measure(run, idle_gap, root_grace):
            rows.append(row)
            if (idle_gap, root_grace) == (defaults.idle_gap, defaults.root_grace) and 0 <= kind.after <= _PERIOD:
                targets.append(Target(f"{row.subject}: share in several parts", split, 0.01, at_most=True))
    return Result("windows", CASE.about, rows, targets)


CASE = Case("windows", "parts of traces whose senders export every 5 s, as OpenTelemetry's SDKs do", (), _run)
