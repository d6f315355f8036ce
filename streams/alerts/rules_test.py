"""The rules test: the problems and alerts that a rules file would make of traces in files, worked out in memory."""

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TypeVar

from pipeline.cli.input_file import InputFile, Item, LineItem, Refusal
from pipeline.formats.invalid_input import InvalidInput
from pipeline.formats.log_record import LineReader
from pipeline.formats.spans import SpanReader
from pipeline.model.problems import Alert, Occurrence, Problem
from streams.alerts.occurrence import Redact, occurrence
from streams.alerts.problems import ProblemLimits, Problems
from streams.alerts.rule import Rule
from streams.alerts.rules import Rules
from tracelink.model.records import NO_TRACE, ErrorRule, LogRecord, Span, Trace

T = TypeVar("T", Item, LineItem)
_US_PER_MS = 1000


class Traces:
    """The records of files, by trace; log lines without a trace are only counted."""

    def __init__(self, rule: ErrorRule) -> None:
        self._rule = rule
        self._reader = SpanReader(rule)
        self._spans: dict[bytes, list[Span]] = {}
        self._logs: dict[bytes, list[LogRecord]] = {}
        self.refused: list[Refusal] = []
        self.unlinked = 0

    def read(self, spans: Iterable[Path], logs: Iterable[Path]) -> None:
        """Read files of spans and of log lines; raises UserError if one cannot be opened."""
        for path in spans:
            with closing(InputFile(path)) as source:
                self._read(source.items(), self._take_span)
        for path in logs:
            with closing(InputFile(path)) as source:
                reader = LineReader(self._rule, source.modified)
                self._read(source.log_lines(), partial(self._take_log, reader))

    def __len__(self) -> int:
        return len(self._spans.keys() | self._logs.keys())

    def each(self) -> Iterable[Trace]:
        """Return the traces, each in one part, closed at the time of its last record."""
        return [self._trace(one) for one in self._spans.keys() | self._logs.keys()]

    def _read(self, entries: Iterable[T | Refusal], take: Callable[[T], None]) -> None:
        for entry in entries:
            if isinstance(entry, Refusal):
                self.refused.append(entry)
                continue
            try:
                take(entry)
            except InvalidInput as error:
                self.refused.append(Refusal(entry.place, error.reason, error.detail))

    def _take_span(self, item: Item) -> None:
        for span in self._reader.read(item.value):
            if isinstance(span, InvalidInput):
                self.refused.append(Refusal(item.place, span.reason, span.detail))
            else:
                self._spans.setdefault(span["traceId"], []).append(span)

    def _take_log(self, reader: LineReader, item: LineItem) -> None:
        record = reader.read(item.entry, item.identity)
        if record["traceId"] == NO_TRACE:
            self.unlinked += 1
        else:
            self._logs.setdefault(record["traceId"], []).append(record)

    def _trace(self, trace_id: bytes) -> Trace:
        spans, logs = self._spans.get(trace_id, []), self._logs.get(trace_id, [])
        flags = 0
        for record in (*spans, *logs):
            flags |= record["flags"]
        times = [time for span in spans if (time := span.get("timestamp"))] + [log["timestamp"] for log in logs]
        ends = [(span.get("timestamp") or 0) + (span.get("duration") or 0) for span in spans]
        return {
            "flags": flags,
            "traceId": trace_id,
            "name": trace_id.hex(),
            "opened": min(times, default=0) // _US_PER_MS,
            "closed": max([*ends, *times], default=0) // _US_PER_MS,
            "reason": "IDLE",
            "spans": spans,
            "logs": logs,
        }


@dataclass(slots=True)
class ProblemReport:
    """A problem at the end of a rules test, and its alerts."""

    problem: Problem
    rule: Rule
    count: int = 0
    alerts: list[Alert] = field(default_factory=list)

    @property
    def over(self) -> bool | None:
        """True if it was over its rule's threshold; None without a threshold."""
        return any(one["event"] == "RATE" for one in self.alerts) if self.rule.threshold else None


def errored(traces: Iterable[Trace], rules: Rules, redact: Redact) -> list[Occurrence]:
    """Return the occurrences in traces, in the order of their times."""
    found = [one for trace in traces if (one := occurrence(trace, rules.fingerprint, redact))]
    return sorted(found, key=itemgetter("time", "traceId"))


def report_problems(occurrences: Iterable[Occurrence], rules: Rules, limits: ProblemLimits) -> list[ProblemReport]:
    """Return the problems that a worker would have made of these occurrences, the most frequent first.

    Each occurrence arrives at its own time. Time ends with the last one: problems that fire then are not resolved.
    """
    problems = Problems(rules.match, limits)
    counts: Counter[str] = Counter()
    states: dict[str, Problem] = {}
    alerts: list[Alert] = []
    for one in occurrences:
        problems.advance(one["time"])
        problems.observe(one, one["time"])
        counts[one["fingerprint"]] += 1
        changes = problems.drain()
        # The last state of a forgotten problem counts.
        states |= {fingerprint: state for fingerprint, state in changes.states() if state}
        alerts += changes.alerts
    found = {
        fingerprint: ProblemReport(state, rules.match(state, fingerprint), counts[fingerprint])
        for fingerprint, state in states.items()
    }
    for alert in alerts:
        found[alert["problem"]["fingerprint"]].alerts.append(alert)
    return sorted(found.values(), key=lambda one: (-one.count, one.problem["fingerprint"]))
