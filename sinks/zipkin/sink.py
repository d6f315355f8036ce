"""The Zipkin sink: writes the spans of traces."""

from sinks.base.contract import Batch, Outcome, Report, SourceMessage
from sinks.base.metrics import SinkMetrics
from sinks.base.sampling import TailSampling
from sinks.zipkin.client import ZipkinClient
from sinks.zipkin.settings import ZipkinSettings
from tracelink.model.records import Span

# A span has up to about four times as many bytes in JSON as in Avro; the factor is largest for small spans.
_GROWTH = 4


class ZipkinSink:
    """Writes the spans of each part; Zipkin stores no log lines.

    Writing a batch again is safe if Zipkin's storage is Elasticsearch: a span's document id is its trace id and the
    hash of its content, so the same span overwrites itself. The exception is a span without a timestamp, which is
    stored in the index of the day on which it arrived. Other storages may keep a repeated span twice.
    """

    takes_logs = False

    def __init__(self, settings: ZipkinSettings, metrics: SinkMetrics) -> None:
        self._batch_bytes = settings.batch_bytes
        self._sampling = TailSampling(settings.keep_share, settings.keep_slower_than)
        self._client = ZipkinClient(settings, metrics.request_seconds.observe)

    def write(self, batch: Batch) -> Report:
        """Post the batch's spans; see Sink. A 400 or 413 is narrowed down to the span that causes it."""
        report = Report([Outcome.WRITTEN] * len(batch.parts))
        messages: list[SourceMessage] = []  # of each span
        spans: list[Span] = []
        size = 0
        for index, part in enumerate(batch.parts):
            message, more = part.message, part.trace["spans"]
            if not more or not self._sampling.keeps(part.trace):
                report.parts[index] = Outcome.NOT_KEPT
                report.count("span", Outcome.NOT_KEPT, len(more))
                continue
            size += len(message.value) * _GROWTH
            if spans and size > self._batch_bytes:
                self._send(messages, spans, report)
                messages, spans, size = [], [], len(message.value) * _GROWTH
            messages += [message] * len(more)
            spans += more
        if spans:
            self._send(messages, spans, report)
        return report

    def check(self) -> None:
        """Check Zipkin's health, which includes its storage; see Sink."""
        self._client.check()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _send(self, messages: list[SourceMessage], spans: list[Span], report: Report) -> None:
        refused = self._client.send(spans)
        for index, error in refused:
            report.refuse_span(messages[index], spans[index], error)
        if written := len(spans) - len(refused):
            report.count("span", Outcome.WRITTEN, written)
