"""The exporters; OpenTelemetry's SDK calls them in its own threads."""

import os
import secrets
from collections.abc import Sequence
from functools import cache

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from prometheus_client import REGISTRY

from tracelink.kafka.messages import LOGS, SPANS
from tracelink.metrics import PublisherMetrics
from tracelink.model.records import ErrorRule
from tracelink.otel.logs import LogMapper
from tracelink.otel.spans import SpanMapper
from tracelink.publisher import Drop, KafkaPublisher, Publisher
from tracelink.settings import PublisherSettings


@cache
def service_metrics() -> PublisherMetrics:
    """Return the metrics of this process's publishers; they are in prometheus_client's default registry."""
    return PublisherMetrics(REGISTRY)


class _Target:
    """The publisher of an exporter: the caller's, which the caller closes, or one of its own."""

    def __init__(self, publisher: Publisher | None, settings: PublisherSettings | None) -> None:
        settings = settings or PublisherSettings.load()
        self.rule = ErrorRule(http_status=settings.error_http_status)
        # At exit the SDK exports the last records, then shuts the exporter down, which closes the publisher.
        self.publisher = publisher or KafkaPublisher(settings, service_metrics(), close_at_exit=False)
        self._own = publisher is None

    def close(self) -> None:
        if self._own:
            self.publisher.close()


class TracelinkSpanExporter(SpanExporter):
    """Publishes spans; without arguments it takes its settings from the environment and opens its own publisher.

    Raises UserError if a setting is wrong. `export` never waits and never fails; dropped records are counted.
    """

    def __init__(self, publisher: Publisher | None = None, settings: PublisherSettings | None = None) -> None:
        self._target = _Target(publisher, settings)
        self._mapper = SpanMapper(self._target.rule)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Publish a batch."""
        publisher = self._target.publisher
        for span in spans:
            try:
                mapped = self._mapper.map(span)
            except Exception:  # noqa: BLE001 - one odd span must not lose the batch
                publisher.drop(SPANS, Drop.INVALID)
            else:
                publisher.publish_span(mapped)
        return SpanExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Wait until Kafka has acknowledged all exported records; return False on timeout."""
        return self._target.publisher.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Close the publisher, if the exporter opened it."""
        self._target.close()


class TracelinkLogExporter(LogRecordExporter):
    """Publishes log records; arguments and errors as in `TracelinkSpanExporter`."""

    def __init__(self, publisher: Publisher | None = None, settings: PublisherSettings | None = None) -> None:
        self._target = _Target(publisher, settings)
        self._mapper = LogMapper(self._target.rule)
        self._ids = _Ids()

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Publish a batch."""
        publisher = self._target.publisher
        for record, record_id in zip(batch, self._ids.take(len(batch)), strict=True):
            try:
                mapped = self._mapper.map(record, record_id)
            except Exception:  # noqa: BLE001 - one odd record must not lose the batch
                publisher.drop(LOGS, Drop.INVALID)
            else:
                publisher.publish_log(mapped)
        return LogRecordExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Wait until Kafka has acknowledged all exported records; return False on timeout."""
        return self._target.publisher.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Close the publisher, if the exporter opened it."""
        self._target.close()


class _Ids:
    """Ids of log records: 64 random bits for each process, and a counter. Not thread-safe: one thread exports."""

    def __init__(self) -> None:
        self._process = 0
        self._prefix = ""
        self._next = 0

    def take(self, count: int) -> list[str]:
        if self._process != os.getpid():  # a forked child needs random bits of its own
            self._process, self._prefix, self._next = os.getpid(), secrets.token_hex(8), 0
        first = self._next
        self._next += count
        return [f"{self._prefix}-{number}" for number in range(first, self._next)]
