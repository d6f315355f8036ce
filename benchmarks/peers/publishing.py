"""Ways from ended spans to Kafka, all with the same spans: ours, its limits, and the usual alternative.

usage: python -m benchmarks.peers.publishing WAY BROKERS TOPIC_PREFIX RECORDS
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from typing import Any, TypeVar

from confluent_kafka import KafkaError, Producer
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, format_trace_id
from prometheus_client import CollectorRegistry

from benchmarks.peers.saying import Saying, rest
from tracelink.kafka.messages import EncodedRecord, RecordEncoder
from tracelink.kafka.topics import TopicNames
from tracelink.metrics import PublisherMetrics
from tracelink.model.codec import SPAN
from tracelink.model.records import ErrorRule
from tracelink.otel import TracelinkLogExporter, TracelinkSpanExporter
from tracelink.otel.spans import SpanMapper
from tracelink.publisher import KafkaPublisher, producer_properties
from tracelink.settings import PublisherSettings

T = TypeVar("T")
Attributes = dict[str, str | int]

_TRACES = 1000
# The batch size of the SDK's batch processor.
_BATCH = 512
_MOST_WAITING = 20_000
_RESOURCE = Resource.create({SERVICE_NAME: "cart"})
_SCOPE = ("opentelemetry.instrumentation.flask", "0.66b1")


def spans() -> Sequence[ReadableSpan]:
    """Return two spans a trace, a server's and a client's: 13 tags and both endpoints, an event in every fourth."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=_RESOURCE, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer(*_SCOPE)
    for number in range(_TRACES):
        common: Attributes = {
            "http.request.method": "GET",
            "http.response.status_code": 200,
            "network.protocol.version": "1.1",
        }
        served: Attributes = {
            **common,
            "http.route": "/api/v1/items/{id}",
            "url.path": f"/api/v1/items/{number}",
            "network.peer.address": f"10.0.0.{number % 4}",
            "network.peer.port": 30_000 + number,
        }
        called: Attributes = {
            **common,
            "url.full": f"http://stock:8080/api/v1/items/{number}",
            "server.address": "stock",
            "server.port": 8080,
            "http.request.resend_count": 1,
        }
        with (
            tracer.start_as_current_span("GET /api/v1/items/{id}", kind=SpanKind.SERVER, attributes=served),
            tracer.start_as_current_span("GET", kind=SpanKind.CLIENT, attributes=called) as client,
        ):
            if number % 2:
                client.add_event("retry", {"attempt": 1})
    return exporter.get_finished_spans()


def small_spans() -> Sequence[ReadableSpan]:
    """Return spans of the application's own, without attributes."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({SERVICE_NAME: "cart"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("cart")
    for _ in range(_TRACES):
        with tracer.start_as_current_span("total"), tracer.start_as_current_span("discount"):
            pass
    return exporter.get_finished_spans()


def lines() -> Sequence[ReadableLogRecord]:
    """Return log lines as `tracelink.setup` makes them of `logging`, each within a span."""
    exporter = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # not annotated by the SDK
    provider = LoggerProvider(resource=_RESOURCE, shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    tracer, logger = TracerProvider(shutdown_on_exit=False).get_tracer("cart"), provider.get_logger("cart.views")
    for number in range(_TRACES):
        with tracer.start_as_current_span("total"):
            logger.emit(
                timestamp=time.time_ns(),
                severity_number=SeverityNumber.INFO,
                severity_text="INFO",
                body=f"handled the request for item {number} in {number % 50} ms, status 200",
                attributes={
                    "code.file.path": "/srv/cart/views.py",
                    "code.function.name": "items",
                    "code.line.number": 42,
                    "thread.name": "MainThread",
                },
            )
    return exporter.get_finished_logs()


def export_spans(settings: PublisherSettings, ended: Sequence[ReadableSpan]) -> Iterator[int]:
    """Publish spans through our exporter, as the SDK's batch processor calls it."""
    publisher, done = _publisher(settings)
    return _drive(TracelinkSpanExporter(publisher, settings).export, ended, done)


def export_lines(settings: PublisherSettings, emitted: Sequence[ReadableLogRecord]) -> Iterator[int]:
    """Publish log lines the same way."""
    publisher, done = _publisher(settings)
    return _drive(TracelinkLogExporter(publisher, settings).export, emitted, done)


def encode(ended: Sequence[ReadableSpan]) -> Iterator[int]:
    """Encode mapped spans with fastavro, and drop the bytes."""
    mapper = SpanMapper(ErrorRule())
    mapped = [mapper.map(span) for span in ended]
    for number, span in enumerate(cycle(mapped), 1):
        SPAN.encode(span)
        if number % _BATCH == 0:
            yield number


def produce(settings: PublisherSettings, ended: Sequence[ReadableSpan]) -> Iterator[int]:
    """Produce messages that are ready."""
    mapper, messages = SpanMapper(ErrorRule()), RecordEncoder(TopicNames(settings.topic_prefix))
    ready = [messages.span(mapper.map(span)) for span in ended]
    producer, done = _producer(settings)

    def take(batch: Sequence[EncodedRecord]) -> None:
        for message in batch:
            producer.produce(message.topic, message.value, message.key)

    return _drive(take, ready, done)


def produce_json(settings: PublisherSettings, ended: Sequence[ReadableSpan]) -> Iterator[int]:
    """Produce spans as the SDK's own JSON, as an exporter of a few lines would."""
    topic = TopicNames(settings.topic_prefix).spans
    producer, done = _producer(settings)

    def take(batch: Sequence[ReadableSpan]) -> None:
        for span in batch:
            producer.produce(topic, span.to_json(indent=None), format_trace_id(span.context.trace_id))

    return _drive(take, ended, done)


def _publisher(settings: PublisherSettings) -> tuple[KafkaPublisher, Callable[[], int]]:
    """Return a publisher, and a function that counts the records that Kafka has acknowledged."""
    registry = CollectorRegistry()
    publisher = KafkaPublisher(settings, PublisherMetrics(registry))
    return publisher, lambda: int(registry.get_sample_value("tracelink_publisher_delivered_records_total") or 0)


def _producer(settings: PublisherSettings) -> tuple[Producer, Callable[[], int]]:
    """Return a producer with our properties, and the same function for it."""
    acknowledged = 0

    def report(error: KafkaError | None, _: object) -> None:
        nonlocal acknowledged
        acknowledged += error is None

    def done() -> int:
        producer.poll(0)
        return acknowledged

    properties: dict[str, Any] = {**producer_properties(settings), "on_delivery": report}
    producer = Producer(properties)
    return producer, done


def _drive(take: Callable[[Sequence[T]], object], records: Sequence[T], done: Callable[[], int]) -> Iterator[int]:
    """Hand over batches without end, waiting while Kafka is behind; yields the number of records done."""
    taken = 0
    for start in cycle(range(0, len(records), _BATCH)):
        batch = records[start : start + _BATCH]
        take(batch)
        taken += len(batch)
        while taken - done() > _MOST_WAITING:
            time.sleep(0.001)
        yield done()


def main(way: str, brokers: str, topic_prefix: str, records: int) -> None:
    """Run one way until `records` are done, and print the progress."""
    settings = PublisherSettings.load(kafka_bootstrap_servers=brokers, topic_prefix=topic_prefix)
    ways = {
        "export": lambda: export_spans(settings, spans()),
        "export-small": lambda: export_spans(settings, small_spans()),
        "export-lines": lambda: export_lines(settings, lines()),
        "encode": lambda: encode(spans()),
        "produce": lambda: produce(settings, spans()),
        "json": lambda: produce_json(settings, spans()),
    }
    saying = Saying()
    progress = ways[way]()  # keeps a reference: else the producer is closed at the end of the loop, and reports that
    for done in progress:
        saying.say(done, last=done >= records)
        if done >= records:
            break
    rest()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
