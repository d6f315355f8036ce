"""The publisher inside a service: it passes records to Kafka and never blocks or breaks the service.

Records that it cannot publish are dropped and counted by reason; see `PublisherMetrics`.
"""

import atexit
import logging
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Literal, Protocol, TypeVar
from weakref import WeakMethod

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as Report

from tracelink.errors import UserError
from tracelink.kafka.client import Properties, client_log, property_hint, record_properties
from tracelink.kafka.messages import LOGS, SPANS, EncodedRecord, RecordEncoder, fitting
from tracelink.kafka.topics import TopicNames
from tracelink.metrics import PublisherMetrics
from tracelink.model.records import LogRecord, Span
from tracelink.model.repair import repaired_log, repaired_span
from tracelink.settings import PublisherSettings

R = TypeVar("R", Span, LogRecord)

_log = logging.getLogger(__name__)

_POLL_SECONDS = 0.5


class Drop(StrEnum):
    """The reason why a record was dropped: the label of its metric."""

    BUFFER_FULL = "buffer_full"
    """Kafka is down or slow, and the buffer is full."""
    TOO_LARGE = "too_large"
    """The record is larger than the topic's limit."""
    INVALID = "invalid"
    """The record has no valid ids, and so cannot be repaired to fit its schema."""
    UNDELIVERED = "undelivered"
    """Kafka rejected it, or did not acknowledge it in time or before the service ended."""
    CLOSED = "closed"
    """It came after the publisher was closed."""


class Publisher(Protocol):
    """Takes the records of a service. No method raises; all may be called from any thread."""

    def publish_span(self, span: Span) -> None:
        """Publish a span, without waiting."""
        ...

    def publish_log(self, record: LogRecord) -> None:
        """Publish a log record, without waiting; one with trace id zero goes to `unlinked-logs`."""
        ...

    def drop(self, kind: str, reason: Drop) -> None:
        """Count a record that could not be mapped (`kind` is `span` or `log`)."""
        ...

    def flush(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until all buffered records are acknowledged; return True if they are."""
        ...

    def close(self) -> None:
        """Flush for up to `flush_timeout` seconds and drop the rest; later calls do nothing."""
        ...


def producer_properties(settings: PublisherSettings) -> Properties:
    """Return the properties of a publisher's producer; raises UserError as `record_properties` does."""
    return record_properties(
        settings,
        defaults={
            "linger.ms": 20,
            "queue.buffering.max.messages": settings.buffer_records,
            "queue.buffering.max.kbytes": max(1, settings.buffer_bytes // 1024),
        },
    )


class RecordPublisher(ABC):
    """The base of publishers: it encodes records as messages, and records the metrics.

    A record whose values do not fit its schema is repaired, and the texts of one that is too large are cut. A tag or
    field says so; both cost nothing for all other records.
    """

    def __init__(self, settings: PublisherSettings, metrics: PublisherMetrics) -> None:
        self._encoder = RecordEncoder(TopicNames(settings.topic_prefix))
        self._max_bytes = int(settings.max_record_bytes)
        self._metrics = metrics
        # A process must not fork while one of its threads is inside a metric; forks take this lock, too.
        self._lock = threading.Lock()
        self._warned: set[Drop] = set()

    def publish_span(self, span: Span) -> None:
        """Publish a span, without waiting."""
        self._publish_record(SPANS, span, self._encoder.span, repaired_span, "tags")

    def publish_log(self, record: LogRecord) -> None:
        """Publish a log record, without waiting; one with trace id zero goes to `unlinked-logs`."""
        self._publish_record(LOGS, record, self._encoder.log, repaired_log, "fields")

    def drop(self, kind: str, reason: Drop) -> None:
        """Count a record that could not be mapped."""
        with self._lock:
            self._metrics.record(kind, 0)
        self._lose(reason)

    def _publish_record(
        self,
        kind: str,
        record: R,
        encode: Callable[[R], EncodedRecord],
        repair: Callable[[R], R],
        notes: Literal["tags", "fields"],
    ) -> None:
        """Publish a record, repaired or cut where that is needed; drop it if it has no valid ids."""
        try:
            try:
                message = encode(record)
            except Exception:  # noqa: BLE001 - its values may be anything
                record = repair(record)
                message = encode(record)
            message = fitting(message, record, encode, self._max_bytes, notes)
        except Exception:  # noqa: BLE001 - an invalid record must not raise in the service
            self.drop(kind, Drop.INVALID)
        else:
            self._publish(message)

    @abstractmethod
    def _publish(self, message: EncodedRecord) -> None:
        """Count the message, and send or drop it."""

    def _lose(self, reason: Drop) -> None:
        """Count a dropped record, and log a warning for the first one of each reason."""
        with self._lock:
            self._metrics.drop(reason)
            first = reason not in self._warned
            self._warned.add(reason)
        if first:
            _log.warning("Dropped a record (%s); tracelink_publisher_dropped_records_total counts all.", reason)


class KafkaPublisher(RecordPublisher):
    """Publishes through librdkafka, whose threads talk to the brokers; the service never waits for a broker.

    It may be made before a server forks its workers: each child opens its own producer at its first record.
    With `close_at_exit` it closes when the interpreter exits; pass False if something else closes it after that, as
    OpenTelemetry's providers do. Raises UserError if a Kafka property is wrong.
    """

    def __init__(self, settings: PublisherSettings, metrics: PublisherMetrics, *, close_at_exit: bool = True) -> None:
        super().__init__(settings, metrics)
        self._properties = producer_properties(settings)
        self._flush_timeout = settings.flush_timeout
        self._session: _Session | None = self._open()
        self._closed = False
        if close_at_exit:
            atexit.register(self.close)
        _around_forks(self._hold, self._release, self._renew)

    def flush(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until all buffered records are acknowledged; return True if they are."""
        session = self._session
        if session is None:
            return True
        left = session.producer.flush(timeout)
        self._settle(session)
        return left == 0

    def close(self) -> None:
        """Flush for up to `flush_timeout` seconds and drop the rest; later calls do nothing."""
        with self._lock:
            self._closed = True
            session, self._session = self._session, None
        atexit.unregister(self.close)
        if session is not None:
            session.close(self._flush_timeout)
            self._settle(session)

    def _open(self) -> "_Session":
        return _Session(self._properties, self._give_up, self._settle)

    def _publish(self, message: EncodedRecord) -> None:
        with self._lock:
            self._metrics.record(message.kind, len(message.value))
            why = self._hand_over(message)
        if why is not None:
            self._lose(why)

    def _hand_over(self, message: EncodedRecord) -> Drop | None:
        """Pass a message to librdkafka; return the reason if it was dropped."""
        if self._closed:
            return Drop.CLOSED
        try:
            if self._session is None:
                self._session = self._open()
            self._session.producer.produce(message.topic, message.value, message.key)
            self._session.taken += 1
        except BufferError:
            return Drop.BUFFER_FULL
        except KafkaException as error:
            return _reason(error.args[0])
        except Exception:  # noqa: BLE001 - no error may reach the service, such as a thread that cannot start
            return Drop.UNDELIVERED
        return None

    def _give_up(self, session: "_Session", error: KafkaError) -> None:
        with self._lock:
            session.taken -= 1
        self._lose(_reason(error))

    def _settle(self, session: "_Session") -> None:
        """Count the records that Kafka acknowledged since the last call.

        The length of a producer includes a message until it is acknowledged or its error has been reported.
        """
        with self._lock:
            acknowledged = session.taken - len(session.producer)
            if acknowledged > session.acknowledged:
                self._metrics.deliver(acknowledged - session.acknowledged)
                session.acknowledged = acknowledged

    def _hold(self) -> None:
        self._lock.acquire()

    def _release(self) -> None:
        self._lock.release()

    def _renew(self) -> None:
        """Reset in a forked child: the producer's threads remain in the parent, which sends its own buffer."""
        self._lock = threading.Lock()
        self._session = None
        self._metrics.reset()


class _Session:
    """A producer, and the thread that serves its reports and its log, and then calls `served`.

    `taken` is the number of accepted messages minus the failed ones; `acknowledged` of them have been counted.
    """

    def __init__(
        self,
        properties: Properties,
        give_up: Callable[["_Session", KafkaError], None],
        served: Callable[["_Session"], None],
    ) -> None:
        self.taken = 0
        self.acknowledged = 0
        self._served = served

        def report(error: KafkaError, _: Report) -> None:
            give_up(self, error)

        # A callback for each delivered message would cost as much as sending it.
        config: dict[str, Any] = {**properties, "on_delivery": report, "delivery.report.only.error": True}
        try:
            self.producer = Producer(config, logger=client_log(__name__))
        except KafkaException as error:
            raise UserError(property_hint(error.args[0])) from None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="tracelink-publisher", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stopped.is_set():
            self.producer.poll(_POLL_SECONDS)
            self._served(self)

    def close(self, timeout: float) -> None:
        """Flush up to `timeout` seconds, then drop the rest."""
        if self.producer.flush(timeout):
            self.producer.purge()
            self.producer.flush(_POLL_SECONDS)
        self._stopped.set()
        self._thread.join()


def _reason(error: KafkaError) -> Drop:
    return Drop.TOO_LARGE if error.code() == KafkaError.MSG_SIZE_TOO_LARGE else Drop.UNDELIVERED


def _around_forks(before: Callable[[], None], in_parent: Callable[[], None], in_child: Callable[[], None]) -> None:
    """Call these methods around every fork while their object is alive; fork hooks cannot be removed."""

    def weakly(method: Callable[[], None]) -> Callable[[], None]:
        weak = WeakMethod(method)

        def call() -> None:
            if alive := weak():
                alive()

        return call

    os.register_at_fork(before=weakly(before), after_in_parent=weakly(in_parent), after_in_child=weakly(in_child))
