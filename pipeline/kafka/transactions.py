"""Kafka transactions, one after another: output messages and the offsets of their input, all or nothing."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Event
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition
from tenacity import Retrying, retry_if_exception, stop_when_event_set, wait_random_exponential

from pipeline.failpoints import Failpoint, hit
from pipeline.kafka.offsets import Member
from tracelink.kafka import errors
from tracelink.kafka.client import PARTITIONER, Properties, client_log, client_properties
from tracelink.settings import KafkaSettings

_log = logging.getLogger(__name__)

_FLUSH_STEP = 0.5
_LAST_FLUSHES = 10
_CALL_TIMEOUT = 5.0

Dated = tuple[bytes | None, bytes | None, int, list[tuple[str, str | bytes | None]]]
"""Key and value of a message, its time in milliseconds since the epoch, and its headers."""


class JournalRecord(NamedTuple):
    """Partition number, key, value and headers of a message."""

    partition: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


def transactional_producer(
    settings: KafkaSettings, transactional_id: str, *, timeout: float | None = None, defaults: Properties | None = None
) -> Properties:
    """Return the properties of a transactional producer; a restarted process takes over the transactional id.

    The broker aborts the transaction of a dead producer after `timeout` seconds, by default the client's 60 seconds.
    The user's properties override `defaults`.
    """
    return client_properties(
        settings,
        promised={
            "transactional.id": transactional_id,
            **({} if timeout is None else {"transaction.timeout.ms": round(timeout * 1000)}),
            "acks": "all",
            "enable.idempotence": True,
            "partitioner": PARTITIONER,
            # The topics' limits apply: they count compressed bytes, and a dead letter may be larger than any record of
            # ours.
            "message.max.bytes": 1_000_000_000,
        },
        defaults={
            "compression.type": "lz4",
            "linger.ms": 20,
            # By default the client bootstraps again after all brokers were down; it then forgets the group's
            # coordinator, and sending offsets waits for ever (librdkafka #5511).
            "metadata.recovery.strategy": "none",
            **(defaults or {}),
        },
    )


class Aborted(Exception):
    """The transaction was aborted, or given up during shutdown: none of its messages is visible."""


class Transactions:
    """A transactional producer; a call blocks while the brokers are down, until `stopping` is set.

    Raises KafkaException if the producer cannot continue: fenced by another one with its id, or another fatal error.
    """

    def __init__(self, properties: Mapping[str, Any], stopping: Event) -> None:
        self._producer = Producer(dict(properties), logger=client_log(__name__))
        self._retrying = Retrying(
            retry=retry_if_exception(_is_retriable),
            wait=wait_random_exponential(multiplier=0.1, max=2),
            stop=stop_when_event_set(stopping),
            reraise=True,
        )
        self._stopping = stopping
        self._open = False
        self._failed: KafkaError | None = None
        self._given_up = False

    def start(self) -> None:
        """Take over the transactional id; this aborts an open transaction of a predecessor."""
        self._retrying(self._producer.init_transactions, _CALL_TIMEOUT)

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] | None = None,
        *,
        partition: int = -1,
    ) -> None:
        """Add a message to the partition of its key or to `partition`; waits while the producer's buffer is full.

        Raises Aborted if an earlier message failed. The commit reports messages that cannot be delivered: a report for
        each message would cost as much as producing it.
        """
        self._begin()
        self._produce(topic, value, key, partition=partition, headers=list(headers or ()))

    def send_dated(self, topic: str, partition: int, messages: Iterable[Dated]) -> None:
        """Add many messages to one partition, with their own timestamps; see `send`."""
        self._begin()
        produce = self._producer.produce
        for key, value, timestamp, headers in messages:
            try:
                produce(topic, value, key, partition, timestamp=timestamp, headers=headers)
            except (BufferError, KafkaException):
                self._produce(topic, value, key, partition=partition, timestamp=timestamp, headers=headers)

    def write_journal(self, topic: str, records: Iterable[JournalRecord]) -> dict[int, list[int]]:
        """Write records to the journal, wait until all is delivered, and return their offsets by partition.

        Raises Aborted if any message of the transaction could not be delivered.
        """
        self._begin()
        offsets: dict[int, list[int]] = {}

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self._failed = self._failed or error
            else:
                offsets.setdefault(message.partition() or 0, []).append(message.offset() or 0)

        for partition, key, value, headers in records:
            self._produce(topic, value, key, partition=partition, headers=list(headers), on_delivery=delivered)
        self.flush()
        return {partition: sorted(found) for partition, found in offsets.items()}

    def flush(self) -> None:
        """Wait until all messages are delivered; raises Aborted if any message of the transaction could not be."""
        patience = _LAST_FLUSHES
        # While the brokers are down, the messages' own time-out ends this and fails the transaction.
        while self._failed is None and _raising_first(self._producer.flush, _FLUSH_STEP):
            patience -= self._stopping.is_set()
            if not patience:
                # Queued messages must not become part of a later transaction: nothing is sent from now on.
                self._given_up = True
                raise Aborted("given up, the brokers are down")
        if self._failed is not None:
            why = self._failed.str()
            self.abort()
            raise Aborted(why)

    def commit(self, offsets: Sequence[TopicPartition], group: Member) -> None:
        """Commit the messages, if any, and a member's offsets; raises Aborted if the transaction was aborted."""
        self._begin()
        try:
            self._retrying(self._producer.send_offsets_to_transaction, list(offsets), group, _CALL_TIMEOUT)
            hit(Failpoint.BEFORE_COMMIT)
            self._retrying(self._producer.commit_transaction, _CALL_TIMEOUT)
        except KafkaException as error:
            if not error.args[0].txn_requires_abort():
                raise
            self.abort()
            raise Aborted(error.args[0].str()) from error
        self._open = False

    def abort(self) -> None:
        """Abort the open transaction, if any; one that was given up is left to the broker or to a successor."""
        if self._open and not self._given_up:
            self._retrying(self._producer.abort_transaction, _CALL_TIMEOUT)
        self._open = False
        self._failed = None

    def abandon(self) -> None:
        """Abort the open transaction; if that fails during shutdown, the broker's time-out or a successor does it."""
        try:
            self.abort()
        except KafkaException as error:
            if not self._stopping.is_set():
                raise
            _log.warning("left a transaction open: %s", error)

    def cause(self, error: KafkaException) -> KafkaError:
        """Return the cause of an error: a call after a fatal error only reports that there was one."""
        found: KafkaError = error.args[0]
        try:
            if found.code() == errors.FATAL:
                self._producer.abort_transaction(_CALL_TIMEOUT)
        except KafkaException as first:
            found = first.args[0] if first.args[0].fatal() else found
        return found

    def poll(self) -> None:
        """Serve delivery reports."""
        _raising_first(self._producer.poll, 0)

    def _begin(self) -> None:
        if self._given_up:
            raise Aborted("a transaction before was given up")
        if not self._open:
            self._producer.begin_transaction()
            self._open = True
            self._failed = None

    def _produce(self, topic: str, value: bytes | None, key: bytes | None = None, **more: Any) -> None:  # noqa: ANN401 - the client's own
        while True:
            try:
                self._producer.produce(topic, value, key, **more)
            except BufferError:
                _raising_first(self._producer.poll, 0.1)
            except KafkaException as error:
                # A failed transaction rejects further messages.
                if self._failed is None and error.args[0].code() != errors.STATE:
                    raise
                self.abort()
                raise Aborted(error.args[0].str()) from error
            else:
                return


def _raising_first(serve: Callable[[float], int], seconds: float) -> int:
    """Serve the producer's callbacks; raises a fatal error even if a log line follows it in the same call.

    For a fatal error the client sets an exception, and may then call its logger, which fails because of that exception.
    """
    try:
        return serve(seconds)
    except SystemError as error:
        if isinstance(error.__cause__, KafkaException):
            raise error.__cause__ from None
        raise


def _is_retriable(error: BaseException) -> bool:
    return isinstance(error, KafkaException) and bool(error.args[0].retriable())
