"""How the services of the shop send spans and log lines: as services do that use different libraries.

frontend, checkout, payment   `tracelink.setup`, to Kafka
inventory                     OpenTelemetry's exporters of OTLP, to the gateway
shipping                      OpenTelemetry's exporter of Zipkin's JSON, and log lines as JSON, to the gateway
"""

import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from logging.handlers import QueueHandler, QueueListener
from queue import SimpleQueue

import urllib3
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.zipkin.json import ZipkinExporter
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

import tracelink

_DELAY_MS = 500
"""OpenTelemetry waits 5 s by default: for longer than the demo's windows, which are short so that traces come soon."""
_ATTEMPTS = urllib3.Retry(5, backoff_factor=0.2, status_forcelist=(503,), allowed_methods=None)


@contextmanager
def sending(service: str, gateway: str) -> Iterator[None]:
    """Send the spans and the log lines, from INFO on, of this process; `gateway` is a URL."""
    with ExitStack() as cleanup:
        if service == "inventory":
            _trace(service, OTLPSpanExporter(f"{gateway}/v1/traces"), cleanup)
            _log_as_otlp(service, gateway, cleanup)
        elif service == "shipping":
            _trace(service, ZipkinExporter(endpoint=f"{gateway}/api/v2/spans"), cleanup)
            _log_as_lines(service, gateway, cleanup)
        else:
            cleanup.enter_context(tracelink.setup(service=service, log_level=logging.INFO))
        yield


def _trace(service: str, exporter: SpanExporter, cleanup: ExitStack) -> None:
    provider = TracerProvider(resource=_resource(service))
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=_DELAY_MS))
    cleanup.callback(provider.shutdown)
    trace.set_tracer_provider(provider)


def _log_as_otlp(service: str, gateway: str, cleanup: ExitStack) -> None:
    provider = LoggerProvider(resource=_resource(service))
    exporter = OTLPLogExporter(f"{gateway}/v1/logs")
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter, schedule_delay_millis=_DELAY_MS))
    cleanup.callback(provider.shutdown)
    _add(LoggingHandler(logging.INFO, provider))


def _log_as_lines(service: str, gateway: str, cleanup: ExitStack) -> None:
    queue: SimpleQueue[logging.LogRecord] = SimpleQueue()
    listener = QueueListener(queue, _LineHandler(f"{gateway}/v1/lines"))
    listener.start()
    cleanup.callback(listener.stop)
    handler = QueueHandler(queue)
    # In the thread that logs, because there is the span.
    handler.setFormatter(_JsonFormatter(service))
    _add(handler)


def _add(handler: logging.Handler) -> None:
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(handler)


def _resource(service: str) -> Resource:
    return Resource.create({"service.name": service})


class _JsonFormatter(logging.Formatter):
    """Formats a record as a line of JSON with the names of the Elastic Common Schema."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        context = trace.get_current_span().get_span_context()
        return json.dumps(
            {
                "@timestamp": record.created,
                "log.level": record.levelname,
                "log.logger": record.name,
                "message": record.getMessage(),
                "service.name": self._service,
                "trace.id": trace.format_trace_id(context.trace_id),
                "span.id": trace.format_span_id(context.span_id),
            }
        )


class _LineHandler(logging.Handler):
    """Posts each line, as a shipper of logs posts many."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._pool = urllib3.PoolManager(retries=_ATTEMPTS)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._pool.request(
                "POST", self._url, body=self.format(record).encode(), headers={"Content-Type": "application/x-ndjson"}
            )
        except urllib3.exceptions.HTTPError:
            self.handleError(record)
