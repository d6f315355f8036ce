"""The Elasticsearch sink: writes log lines, parts of traces and problems as documents."""

from typing import TYPE_CHECKING, cast

from sinks.base.contract import Batch, Outcome, Report
from sinks.base.metrics import SinkMetrics
from sinks.elasticsearch.bulk import Bulk
from sinks.elasticsearch.client import ElasticsearchClient
from sinks.elasticsearch.encoder import Encoder
from sinks.elasticsearch.settings import ElasticsearchSettings
from sinks.elasticsearch.span_metrics import Observed, ServiceMetricsRecorder
from sinks.elasticsearch.templates import set_up
from tracelink.errors import InvalidRecord

if TYPE_CHECKING:
    from tracelink.model.records import LogRecord, Trace


class ElasticsearchSink:
    """Writes documents with ids that come from their records, so that a retry changes nothing.

    Documents of log lines and parts are created once; that of a problem is replaced by newer states only.
    """

    takes_logs = True

    def __init__(
        self, settings: ElasticsearchSettings, metrics: SinkMetrics, services: ServiceMetricsRecorder | None = None
    ) -> None:
        """`services` counts requests and calls of the services, also those in parts that tail sampling leaves out."""
        self._settings = settings
        self._client = ElasticsearchClient(settings, settings.request_timeout)
        self._encoder = Encoder(settings)
        self._bulk = Bulk(self._client, settings.batch_bytes, metrics.request_seconds.observe)
        self._services = services
        self._set_up = not settings.setup_templates

    def write(self, batch: Batch) -> Report:
        """Write the batch's documents; see Sink. Sets up the index templates first, unless that is done."""
        report = Report([Outcome.WRITTEN] * len(batch.parts))
        if batch:
            self._prepare()
        written = 0
        observed: list[tuple[Trace, Observed]] | None = None if self._services is None else []
        for document, outcome in self._bulk.send(self._encoder.documents(batch, report, observed)):
            if isinstance(document.of, int):
                self._settle_part(batch, document.of, outcome, report)
            elif document.action == "index":
                if isinstance(outcome, InvalidRecord):
                    report.refuse_message(document.message, "problem", outcome)
                else:
                    report.count("problem", outcome)
            elif outcome is Outcome.WRITTEN:
                written += 1
            elif isinstance(outcome, InvalidRecord):
                report.refuse_log(document.message, cast("LogRecord", document.of), outcome)
            else:
                report.count("log", outcome)
        if written:
            report.count("log", Outcome.WRITTEN, written)
        if self._services is not None and observed is not None:
            self._services.count(observed)
        return report

    def check(self) -> None:
        """Check that the cluster answers, and set up the index templates, unless that is done; see Sink."""
        self._client.check()
        self._prepare()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _prepare(self) -> None:
        """Set up the templates once in each process, before its first document creates an index."""
        if not self._set_up:
            set_up(self._client, self._settings)
            self._set_up = True

    def _settle_part(self, batch: Batch, index: int, outcome: Outcome | InvalidRecord, report: Report) -> None:
        part = batch.parts[index]
        if isinstance(outcome, InvalidRecord):
            report.refuse_part(index, part, outcome)
        else:
            report.parts[index] = outcome
            report.count("span", outcome, len(part.trace["spans"]))
