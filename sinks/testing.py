"""A fake sink for tests: `MemorySink`, which passes the contract suites of the real sinks.

sink = MemorySink()
Runner("memory", sink, topics, settings, SinkMetrics(CollectorRegistry(), "memory")).run()
assert (trace_id, "00f067aa0ba902b7", "SERVER") in sink.spans
"""

from pipeline.model.problems import Alert, Problem
from sinks.base.contract import Batch, Outcome, Report
from sinks.base.sampling import TailSampling
from tracelink.errors import InvalidRecord, Reason, Unavailable
from tracelink.model.records import LogRecord, Span

_HEX = frozenset("0123456789abcdef")


class MemorySink:
    """Keeps spans, log lines, problems and alerts by identity. Like Zipkin, it refuses spans without a hex id."""

    takes_logs = True

    def __init__(self, sampling: TailSampling | None = None, *, unavailable: bool = False) -> None:
        self.unavailable = unavailable
        """While true, `write` and `check` raise Unavailable."""
        self.spans: dict[tuple[bytes, str, str | None], Span] = {}
        """By trace id, span id and kind."""
        self.logs: dict[str, LogRecord] = {}
        """By their id."""
        self.problems: dict[str, Problem] = {}
        """The newest state of each, by fingerprint."""
        self.alerts: dict[str, Alert] = {}
        """By their id."""
        self._parts: set[tuple[bytes, str]] = set()
        self._sampling = sampling or TailSampling()

    def write(self, batch: Batch) -> Report:
        """Keep a batch; see Sink."""
        self.check()
        report = Report([Outcome.WRITTEN] * len(batch.parts))
        for index, part in enumerate(batch.parts):
            trace = part.trace
            identity = (trace["traceId"], trace["name"])
            if not self._sampling.keeps(trace):
                report.parts[index] = Outcome.NOT_KEPT
                report.count("span", Outcome.NOT_KEPT, len(trace["spans"]))
                report.count("log", Outcome.NOT_KEPT, len(trace["logs"]))
                continue
            if identity in self._parts:
                report.parts[index] = Outcome.DUPLICATE
            self._parts.add(identity)
            for span in trace["spans"]:
                if not _HEX.issuperset(span["id"]):
                    report.refuse_span(part.message, span, InvalidRecord(Reason.REFUSED, "the span id is not hex"))
                    continue
                key = (span["traceId"], span["id"], span.get("kind"))
                report.count("span", Outcome.DUPLICATE if key in self.spans else Outcome.WRITTEN)
                self.spans[key] = span
            self._hold(trace["logs"], report)
        self._hold([log.record for log in batch.unlinked], report)
        for state in batch.problems:
            self._hold_problem(state.problem, report)
        for raised in batch.alerts:
            self._hold_alert(raised.alert, report)
        return report

    def check(self) -> None:
        """Raise Unavailable while `unavailable`."""
        if self.unavailable:
            raise Unavailable("set to be unavailable")

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def _hold(self, logs: list[LogRecord], report: Report) -> None:
        for log in logs:
            report.count("log", Outcome.DUPLICATE if log["id"] in self.logs else Outcome.WRITTEN)
            self.logs[log["id"]] = log

    def _hold_problem(self, problem: Problem, report: Report) -> None:
        held = self.problems.get(problem["fingerprint"])
        newer = held is None or held["version"] < problem["version"]
        report.count("problem", Outcome.WRITTEN if newer else Outcome.DUPLICATE)
        if newer:
            self.problems[problem["fingerprint"]] = problem

    def _hold_alert(self, alert: Alert, report: Report) -> None:
        report.count("alert", Outcome.DUPLICATE if alert["id"] in self.alerts else Outcome.WRITTEN)
        self.alerts[alert["id"]] = alert
