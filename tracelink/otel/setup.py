"""`setup`: one call that makes a service publish its traces and logs."""

import atexit
import logging
import os
from types import TracebackType
from typing import Self

from opentelemetry._logs import set_logger_provider
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagate import set_global_textmap
from opentelemetry.propagators.b3 import B3MultiFormat
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import ProxyTracerProvider, get_tracer_provider, set_tracer_provider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tracelink.errors import UserError
from tracelink.otel.exporters import TracelinkLogExporter, TracelinkSpanExporter, service_metrics
from tracelink.otel.handler import OpenTelemetryHandler
from tracelink.publisher import KafkaPublisher
from tracelink.settings import PublisherSettings

_EXPORT_MILLIS = 200.0


class Telemetry:
    """The handle that `setup` returns; as a context manager it shuts down at its end."""

    def __init__(
        self, tracers: TracerProvider, loggers: LoggerProvider, handler: logging.Handler, publisher: KafkaPublisher
    ) -> None:
        self._tracers = tracers
        self._loggers = loggers
        self._handler = handler
        self._publisher = publisher

    def shutdown(self) -> None:
        """Send all buffered records, for at most `flush_timeout` seconds, and stop; later calls do nothing.

        It also runs when the interpreter exits. OpenTelemetry cannot be set up again in the same process.
        """
        atexit.unregister(self.shutdown)
        logging.getLogger().removeHandler(self._handler)
        self._tracers.shutdown()
        self._loggers.shutdown()
        self._publisher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.shutdown()


def setup(service: str, *, log_level: int | str | None = None, **settings: object) -> Telemetry:
    """Set up OpenTelemetry for the whole process.

    Spans and the lines of `logging` go to Kafka, with W3C and B3 propagation and the sampling rate of the settings.
    `settings` are those of `PublisherSettings` (`kafka_bootstrap_servers="…"`, `sample_rate=0.1`); they override the
    environment. `log_level` sets the level of the root logger, which is WARNING by default. Raises UserError if a
    setting is wrong, or if OpenTelemetry is set up already.
    """
    if not isinstance(get_tracer_provider(), ProxyTracerProvider):
        raise UserError(
            "OpenTelemetry is set up already in this process: call tracelink.setup once, before any other setup, "
            "or use the exporters instead (OTEL_TRACES_EXPORTER=tracelink OTEL_LOGS_EXPORTER=tracelink)."
        )
    loaded = PublisherSettings.load(**settings)
    resource = Resource.create({SERVICE_NAME: service})
    publisher = KafkaPublisher(loaded, service_metrics(), close_at_exit=False)
    tracers = TracerProvider(
        resource=resource, sampler=ParentBased(TraceIdRatioBased(loaded.sample_rate)), shutdown_on_exit=False
    )
    spans = TracelinkSpanExporter(publisher, loaded)
    tracers.add_span_processor(BatchSpanProcessor(spans, schedule_delay_millis=_delay("OTEL_BSP_SCHEDULE_DELAY")))
    loggers = LoggerProvider(resource=resource, shutdown_on_exit=False)
    logs = TracelinkLogExporter(publisher, loaded)
    loggers.add_log_record_processor(
        BatchLogRecordProcessor(logs, schedule_delay_millis=_delay("OTEL_BLRP_SCHEDULE_DELAY"))
    )
    handler = OpenTelemetryHandler(loggers)
    telemetry = Telemetry(tracers, loggers, handler, publisher)
    atexit.register(telemetry.shutdown)
    set_tracer_provider(tracers)
    set_logger_provider(loggers)
    # The last propagator wins if a request carries both: W3C's.
    set_global_textmap(CompositePropagator([B3MultiFormat(), TraceContextTextMapPropagator(), W3CBaggagePropagator()]))
    root = logging.getLogger()
    root.addHandler(handler)
    if log_level is not None:
        root.setLevel(log_level)
    return telemetry


def _delay(variable: str) -> float | None:
    """Return the milliseconds between exports, or None if the user sets OpenTelemetry's own variable.

    Its default of 5 s for spans would add up to 5 s to the time until an alert.
    """
    return None if variable in os.environ else _EXPORT_MILLIS
