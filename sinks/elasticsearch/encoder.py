"""Encodes a batch as documents: applies tail sampling and redaction, and assigns ids and indices."""

from collections.abc import Iterator
from typing import Any

from pipeline.analysis.redacted_records import redacted_log, redacted_span
from sinks.base.contract import Batch, Outcome, Part, ProblemState, Report, SourceMessage
from sinks.base.sampling import TailSampling
from sinks.elasticsearch import documents
from sinks.elasticsearch.bulk import Document, lines, newer_lines
from sinks.elasticsearch.indices import Indices
from sinks.elasticsearch.problems import problem_document, problem_id
from sinks.elasticsearch.settings import ElasticsearchSettings
from sinks.elasticsearch.span_metrics import Observed, observe
from sinks.elasticsearch.unindexable import LONGEST_NAME, indexable, is_indexable
from tracelink.errors import InvalidRecord
from tracelink.model.records import LogRecord, Trace


class Encoder:
    """Makes the documents of batches with the sink's settings; raises UserError for invalid settings."""

    def __init__(self, settings: ElasticsearchSettings) -> None:
        self._indices = Indices.of(settings)
        self._sampling = TailSampling(settings.keep_share, settings.keep_slower_than, settings.keep_log_level)
        self._redactor = settings.redactor()
        self._searched = settings.searched_tags()

    def documents(
        self, batch: Batch, report: Report, observed: list[tuple[Trace, Observed]] | None = None
    ) -> Iterator[Document]:
        """Yield the documents of a batch; adds records that are invalid or not kept to the report.

        Appends the requests and calls of each part to `observed`.
        """
        for index, part in enumerate(batch.parts):
            # Also parts that are not kept: their span names become labels of metrics.
            spans = [redacted_span(span, self._redactor) for span in part.trace["spans"]]
            trace = Trace(**(part.trace | {"spans": spans}))
            if observed is not None:
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
        """Yield the documents of a part. `trace` has redacted spans; dead letters have the original records."""
        kept = self._sampling.keeps(trace)
        context = documents.trace_context(trace)
        shown: list[LogRecord] = []
        for original in trace["logs"]:
            if kept or self._sampling.keeps_log(original):
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
            source = documents.part_document(trace, context, start, self._searched)
        except InvalidRecord as error:
            report.refuse_part(index, part, error)
            return
        name = self._indices.traces(start, trace["opened"])
        identity = documents.part_id(trace)
        yield Document(name, identity, _lines(name, identity, source), part.message, index)

    def _log_document(  # noqa: PLR0917 - its inputs
        self,
        message: SourceMessage,
        original: LogRecord,
        record: LogRecord,
        opened: int,
        context: dict[str, Any] | None,
        report: Report,
    ) -> Document | None:
        """Return the document of `record`, the redacted log line; dead-letter the original if it is invalid."""
        try:
            identity, source = documents.log_id(record), documents.log_document(record, context)
        except InvalidRecord as error:
            report.refuse_log(message, original, error)
            return None
        name = self._indices.logs(record["timestamp"], opened)
        return Document(name, identity, _lines(name, identity, source), message, original)

    def _problem_document(self, state: ProblemState, report: Report) -> Document | None:
        problem = state.problem
        try:
            identity, source = problem_id(problem), problem_document(problem, self._redactor)
        except InvalidRecord as error:
            report.refuse_message(state.message, "problem", error)
            return None
        name = self._indices.errors
        encoded = newer_lines(name, identity, problem["version"], source)
        if not is_indexable(encoded):
            encoded = newer_lines(name, identity, problem["version"], indexable(source))
        return Document(name, identity, encoded, state.message, problem, "index")


def _lines(name: str, identity: str, source: dict[str, Any]) -> bytes:
    encoded = lines(name, identity, source)
    # A first test for the second one, and much faster.
    if (b"\\" not in encoded and len(encoded) <= LONGEST_NAME) or is_indexable(encoded):
        return encoded
    shown = indexable(source)
    return encoded if shown is source else lines(name, identity, shown)
