"""The Elasticsearch sink: log lines and parts of traces as documents, each once."""

from collections.abc import Iterator
from typing import Any, cast

from sinks.base.contract import Batch, DeadLetter, Message, Outcome, Part, ProblemState, Report
from sinks.base.metrics import SinkMetrics
from sinks.base.redacting import redacted_log, redacted_span
from sinks.base.sampling import KeepPolicy
from sinks.elasticsearch import documents
from sinks.elasticsearch.bulk import Bulk, Document, lines, newer_lines
from sinks.elasticsearch.client import ElasticsearchClient
from sinks.elasticsearch.indices import Indices
from sinks.elasticsearch.problems import problem_document, problem_id
from sinks.elasticsearch.settings import ElasticsearchSettings
from sinks.elasticsearch.span_metrics import Observed, ServiceBooks, observe
from sinks.elasticsearch.templates import set_up
from tracelink.errors import InvalidRecord
from tracelink.model.records import LogRecord, Trace


class ElasticsearchSink:
    """Writes documents under the identity of what they are made of: a repeat finds them there and changes nothing.

    Those of log lines and parts are created once; that of a problem is replaced by a newer state alone.
    """

    takes_logs = True

    def __init__(
        self, settings: ElasticsearchSettings, metrics: SinkMetrics, services: ServiceBooks | None = None
    ) -> None:
        """`services` counts what the traces say of the services, whatever the keep policy leaves out."""
        self._settings = settings
        self._client = ElasticsearchClient(settings)
        self._indices = Indices.of(settings)
        self._keep = KeepPolicy(settings.keep_share, settings.keep_slower_than, settings.keep_log_level)
        self._bulk = Bulk(self._client, settings.batch_bytes, metrics.request_seconds.observe)
        self._services = services
        self._redactor = settings.redactor()
        self._set_up = not settings.setup_templates

    def write(self, batch: Batch) -> Report:
        """Create the batch's documents; see Sink. Sets up the templates first if that was not done yet."""
        report = Report([Outcome.WRITTEN] * len(batch.parts))
        if batch:
            self._prepare()
        written = 0
        observed: list[tuple[Trace, Observed]] = []
        for document, outcome in self._bulk.send(self.documents(batch, report, observed)):
            if isinstance(document.of, int):
                self._settle_part(batch, document.of, outcome, report)
            elif document.action == "index":
                _settle_problem(document.message, outcome, report)
            elif outcome is Outcome.WRITTEN:
                written += 1
            elif isinstance(outcome, InvalidRecord):
                report.refuse_log(document.message, cast("LogRecord", document.of), outcome)
            else:
                report.count("log", outcome)
        if written:
            report.count("log", Outcome.WRITTEN, written)
        if self._services is not None:
            self._services.count(observed)
        return report

    def check(self) -> None:
        """Ask whether the cluster can take writes, and set up the templates at the first time; see Sink."""
        self._client.check()
        self._prepare()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _prepare(self) -> None:
        """Set up the templates once a process, before its first document opens an index."""
        if not self._set_up:
            set_up(self._client, self._settings)
            self._set_up = True

    def _settle_part(self, batch: Batch, index: int, outcome: Outcome | InvalidRecord, report: Report) -> None:
        part = batch.parts[index]
        if isinstance(outcome, InvalidRecord):
            report.refuse_part(index, part.message, outcome)
            outcome = Outcome.DEAD_LETTER
        report.parts[index] = outcome
        report.count("span", outcome, len(part.trace["spans"]))

    def documents(self, batch: Batch, report: Report, observed: list[tuple[Trace, Observed]]) -> Iterator[Document]:
        """Make the documents of a batch; what can make none goes to the report.

        What the traces say of the services is added to `observed`, if that is counted.
        """
        for index, part in enumerate(batch.parts):
            # What is left out may still be counted, under the names of its spans.
            spans = [redacted_span(span, self._redactor) for span in part.trace["spans"]]
            trace = Trace(**(part.trace | {"spans": spans}))
            if self._services is not None:
                observed.append((trace, observe(trace)))
            yield from self._part_documents(index, part, trace, report)
        for log in batch.unlinked:
            record = redacted_log(log.record, self._redactor)
            document = self._log_document(log.message, log.record, record, log.message.origin.timestamp, None, report)
            if document:
                yield document
        for state in batch.problems:
            if document := self._problem_document(state, report):
                yield document

    def _part_documents(self, index: int, part: Part, trace: Trace, report: Report) -> Iterator[Document]:
        """Make the documents of a part, whose spans are redacted in `trace`; its dead letters are as they came."""
        kept = self._keep.keeps(trace)
        context = documents.trace_context(trace)
        shown: list[LogRecord] = []
        for original in trace["logs"]:
            if kept or self._keep.keeps_log(original):
                record = redacted_log(original, self._redactor)
                shown.append(record)
                document = self._log_document(part.message, original, record, trace["opened"], context, report)
                if document:
                    yield document
            else:
                report.count("log", Outcome.NOT_KEPT)
        if not kept:
            report.parts[index] = Outcome.NOT_KEPT
            report.count("span", Outcome.NOT_KEPT, len(trace["spans"]))
            return
        trace = Trace(**(trace | {"logs": shown}))
        start = documents.started(trace)
        try:
            source = documents.part_document(trace, context, start)
        except InvalidRecord as error:
            report.refuse_part(index, part.message, error)
            report.count("span", Outcome.DEAD_LETTER, len(trace["spans"]))
            return
        name = self._indices.traces(start, trace["opened"])
        identity = documents.part_id(trace)
        yield Document(name, identity, lines(name, identity, source), part.message, index)

    def _log_document(  # noqa: PLR0917 - what it is made of
        self,
        message: Message,
        original: LogRecord,
        record: LogRecord,
        opened: int,
        context: dict[str, Any] | None,
        report: Report,
    ) -> Document | None:
        """Return the document of a log line, which is redacted in `record`, or refuse the original."""
        try:
            identity, source = documents.log_id(record), documents.log_document(record, context)
        except InvalidRecord as error:
            report.refuse_log(message, original, error)
            return None
        name = self._indices.logs(record["timestamp"], opened)
        return Document(name, identity, lines(name, identity, source), message, original)

    def _problem_document(self, state: ProblemState, report: Report) -> Document | None:
        problem = state.problem
        try:
            identity, source = problem_id(problem), problem_document(problem, self._redactor)
        except InvalidRecord as error:
            _settle_problem(state.message, error, report)
            return None
        name = self._indices.errors
        encoded = newer_lines(name, identity, problem["version"], source)
        return Document(name, identity, encoded, state.message, problem, "index")


def _settle_problem(message: Message, outcome: Outcome | InvalidRecord, report: Report) -> None:
    if isinstance(outcome, InvalidRecord):
        report.dead_letters.append(DeadLetter(message, message.value, outcome))
        outcome = Outcome.DEAD_LETTER
    report.count("problem", outcome)
