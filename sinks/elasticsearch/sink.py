"""The Elasticsearch sink: log lines and parts of traces as documents, each once."""

from collections.abc import Iterator
from typing import Any

from sinks.elasticsearch import documents
from sinks.elasticsearch.bulk import Bulk, Document, lines
from sinks.elasticsearch.client import connect, failures
from sinks.elasticsearch.indices import Indices
from sinks.elasticsearch.templates import set_up
from sinks.keep import KeepPolicy
from sinks.red import Observed, ServiceBooks, observe
from sinks.sink import Batch, Message, Outcome, Part, Report
from tracelink.errors import InvalidRecord
from tracelink.metrics import SinkMetrics
from tracelink.records import LogRecord, Trace
from tracelink.settings import ElasticsearchSettings, without_credentials


class ElasticsearchSink:
    """Creates documents under the identity of what they are made of: a repeat finds them there and changes nothing."""

    takes_logs = True

    def __init__(
        self, settings: ElasticsearchSettings, metrics: SinkMetrics, services: ServiceBooks | None = None
    ) -> None:
        """`services` counts what the traces say of the services, whatever the keep policy leaves out."""
        self._settings = settings
        self._client = connect(settings)
        self._url = without_credentials(settings.elasticsearch_url)
        self._indices = Indices.of(settings)
        self._keep = KeepPolicy(settings.keep_share, settings.keep_slower_than, settings.keep_log_level)
        self._bulk = Bulk(self._client, self._url, settings.batch_bytes, metrics.request_seconds.observe)
        self._services = services
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
            elif outcome is Outcome.WRITTEN:
                written += 1
            elif isinstance(outcome, InvalidRecord):
                report.refuse_log(document.message, document.of, outcome)
            else:
                report.count("log", outcome)
        if written:
            report.count("log", Outcome.WRITTEN, written)
        if self._services is not None:
            self._services.count(observed)
        return report

    def check(self) -> None:
        """Ask whether the cluster can take writes, and set up the templates at the first time; see Sink."""
        with failures(self._url):
            self._client.info()
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
            if self._services is not None:
                observed.append((part.trace, observe(part.trace)))
            yield from self._part_documents(index, part, report)
        for log in batch.unlinked:
            if document := self._log_document(log.message, log.record, log.message.origin.timestamp, None, report):
                yield document

    def _part_documents(self, index: int, part: Part, report: Report) -> Iterator[Document]:
        trace = part.trace
        kept = self._keep.keeps(trace)
        context = documents.trace_context(trace)
        for record in trace["logs"]:
            if kept or self._keep.keeps_log(record):
                if document := self._log_document(part.message, record, trace["opened"], context, report):
                    yield document
            else:
                report.count("log", Outcome.NOT_KEPT)
        if not kept:
            report.parts[index] = Outcome.NOT_KEPT
            report.count("span", Outcome.NOT_KEPT, len(trace["spans"]))
            return
        start = documents.started(trace)
        try:
            source = documents.part_document(trace, context, start)
        except InvalidRecord as error:
            report.refuse_part(index, part.message, error)
            report.count("span", Outcome.DEAD_LETTER, len(trace["spans"]))
            return
        name = self._indices.traces(start, trace["opened"])
        yield Document(lines(name, documents.part_id(trace), source), part.message, index)

    def _log_document(
        self, message: Message, record: LogRecord, opened: int, context: dict[str, Any] | None, report: Report
    ) -> Document | None:
        try:
            identity, source = documents.log_id(record), documents.log_document(record, context)
        except InvalidRecord as error:
            report.refuse_log(message, record, error)
            return None
        name = self._indices.logs(record["timestamp"], opened)
        return Document(lines(name, identity, source), message, record)
