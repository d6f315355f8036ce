"""The Elasticsearch sink: log lines and parts of traces as documents, each once."""

from collections.abc import Iterator
from typing import Any

from sinks.elasticsearch import documents
from sinks.elasticsearch.bulk import Bulk, Document, lines
from sinks.elasticsearch.client import connect, failures
from sinks.elasticsearch.indices import Indices
from sinks.elasticsearch.templates import set_up
from sinks.keep import KeepPolicy
from sinks.red import ServiceBooks
from sinks.sink import Batch, Message, Outcome, Part, Report
from tracelink.errors import InvalidRecord
from tracelink.metrics import SinkMetrics
from tracelink.records import LogRecord
from tracelink.settings import ElasticsearchSettings, without_credentials


class ElasticsearchSink:
    """Creates documents under the identity of what they are made of: a repeat finds them there and changes nothing."""

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
        for document, outcome in self._bulk.send(self._documents(batch, report)):
            if document.log is not None:
                if isinstance(outcome, InvalidRecord):
                    report.refuse_log(document.message, document.log, outcome)
                else:
                    report.count("log", outcome)
            elif document.part is not None:
                self._settle_part(batch, document.part, outcome, report)
        if self._services is not None:
            for part in batch.parts:
                self._services.count(part.trace)
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

    def _documents(self, batch: Batch, report: Report) -> Iterator[Document]:
        """Make the documents of a batch; what can make none goes to the report."""
        for index, part in enumerate(batch.parts):
            yield from self._part_documents(index, part, report)
        for log in batch.unlinked:
            yield from self._log_documents(log.message, log.record, log.message.origin.timestamp, None, report)

    def _part_documents(self, index: int, part: Part, report: Report) -> Iterator[Document]:
        trace = part.trace
        kept = self._keep.keeps(trace)
        context = documents.trace_context(trace)
        for record in trace["logs"]:
            if kept or self._keep.keeps_log(record):
                yield from self._log_documents(part.message, record, trace["opened"], context, report)
            else:
                report.count("log", Outcome.NOT_KEPT)
        if not kept:
            report.parts[index] = Outcome.NOT_KEPT
            report.count("span", Outcome.NOT_KEPT, len(trace["spans"]))
            return
        name = self._indices.traces(documents.started(trace), trace["opened"])
        try:
            source = documents.part_document(trace, context)
        except InvalidRecord as error:
            report.refuse_part(index, part.message, error)
            report.count("span", Outcome.DEAD_LETTER, len(trace["spans"]))
            return
        yield Document(lines(name, documents.part_id(trace), source), part.message, part=index)

    def _log_documents(
        self, message: Message, record: LogRecord, opened: int, context: dict[str, Any] | None, report: Report
    ) -> Iterator[Document]:
        try:
            identity, source = documents.log_id(record), documents.log_document(record, context)
        except InvalidRecord as error:
            report.refuse_log(message, record, error)
            return
        name = self._indices.logs(record["timestamp"], opened)
        yield Document(lines(name, identity, source), message, log=record)
