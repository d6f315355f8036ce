"""Produces the records of requests, and says when Kafka has acknowledged them.

A thread works in rounds: it produces the records of all requests that wait, and then flushes. A flush costs a round
trip whatever it has to send, so requests that come meanwhile share the next one; a report for each message would cost
as much as sending it. Kafka's idempotent producer keeps a retry inside a round from writing a record twice.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as Report

from pipeline.failpoints import Failpoint, hit
from producers.gateway.metrics import GatewayMetrics
from tracelink.errors import Unavailable, UserError
from tracelink.kafka import errors
from tracelink.kafka.client import PARTITIONER, client_log, client_properties, wrong_property
from tracelink.kafka.messages import EncodedRecord
from tracelink.settings import RecordSettings

_log = logging.getLogger(__name__)

_MOST_MESSAGES = 50_000
"""Messages of one round; the requests that are left take the next one."""
_SHORTEST_FLUSH = 0.25
_PURGE_SECONDS = 1.0


@dataclass(eq=False, slots=True)
class _Waiting:
    """The messages of a request, and its answer: the number of messages that Kafka can never take."""

    messages: Sequence[EncodedRecord]
    deadline: float
    answer: "asyncio.Future[int]"
    too_large: int = 0
    failed: KafkaError | None = None

    def report(self, error: KafkaError | None, _: Report) -> None:
        """Note a message that was not delivered."""
        if error is None:
            return
        if error.code() in errors.MESSAGE_TOO_LARGE:  # no repeat can make Kafka take it
            self.too_large += 1
        else:
            self.failed = error


@dataclass(slots=True)
class _Round:
    """The requests whose messages are produced together."""

    waiting: list[_Waiting] = field(default_factory=list)
    messages: int = 0

    def add(self, one: _Waiting) -> None:
        self.waiting.append(one)
        self.messages += len(one.messages)


class Delivery:
    """Delivers the messages of requests to Kafka; `within` is the time in seconds that a request waits at most."""

    def __init__(self, settings: RecordSettings, metrics: GatewayMetrics, *, within: float) -> None:
        """Open the producer; raises UserError if a Kafka property is wrong."""
        self._properties = client_properties(
            settings,
            promised={
                "acks": "all",
                "enable.idempotence": True,
                "partitioner": PARTITIONER,
                "message.max.bytes": int(settings.max_record_bytes),
                # Requests in hand bound the memory, not the client's queue.
                "queue.buffering.max.messages": 0,
                "queue.buffering.max.kbytes": 2_000_000,
            },
            defaults={"compression.type": "lz4", "linger.ms": 5},
        )
        self._metrics = metrics
        self._within = within
        self._requests: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._producer = self._open()
        self._unavailable: str | None = None
        self._thread = Thread(target=self._run, name="gateway-delivery", daemon=True)
        self._thread.start()

    async def deliver(self, messages: Sequence[EncodedRecord]) -> int:
        """Wait until Kafka has all messages; return the number of those that are too large for it.

        Raises Unavailable if it has not acknowledged the others in time; it may have some of them, or get them later.
        """
        if not messages:
            return 0
        answer = asyncio.get_running_loop().create_future()
        self._requests.put(_Waiting(messages, time.monotonic() + self._within, answer))
        found: int = await answer
        return found

    def unavailable(self) -> str | None:
        """Return why the last round failed; None if it did not."""
        return self._unavailable

    def close(self) -> None:
        """End after the requests that wait."""
        self._requests.put(None)
        self._thread.join()

    def _open(self) -> Producer:
        config: dict[str, Any] = {**self._properties, "delivery.report.only.error": True}
        try:
            return Producer(config, logger=client_log(__name__))
        except KafkaException as error:
            raise UserError(
                f"{wrong_property(error.args[0])} Check TRACELINK_KAFKA_… and TRACELINK_KAFKA_CONFIG_FILE."
            ) from None

    def _run(self) -> None:
        while (first := self._requests.get()) is not None:
            last = self._gather(found := _Round(), first)
            with self._metrics.barrier_seconds.time():
                self._pass(found)
            for loop in {one.answer.get_loop() for one in found.waiting}:
                loop.call_soon_threadsafe(_answer, found.waiting)
            if last:
                return

    def _gather(self, found: _Round, first: _Waiting) -> bool:
        """Add the requests that wait; return True if there will be no more."""
        found.add(first)
        try:
            while found.messages < _MOST_MESSAGES:
                following = self._requests.get_nowait()
                if following is None:
                    return True
                found.add(following)
        except Empty:
            pass
        return False

    def _pass(self, found: _Round) -> None:
        """Produce the messages of a round, and wait until Kafka has them or their time is up."""
        for one in found.waiting:
            self._produce(one)
        hit(Failpoint.GATEWAY_PRODUCED)
        deadline = min(one.deadline for one in found.waiting)
        if self._producer.flush(max(_SHORTEST_FLUSH, deadline - time.monotonic())):
            # Later rounds must not wait for these; each is reported as failed.
            self._producer.purge()
            self._producer.flush(_PURGE_SECONDS)
        hit(Failpoint.GATEWAY_ACKNOWLEDGED)
        error = next((one.failed for one in found.waiting if one.failed is not None), None)
        if error is not None and self._unavailable is None:
            _log.warning("Kafka has not acknowledged the records of a request: %s", error.str())
        elif error is None and self._unavailable is not None:
            _log.info("Kafka acknowledges records again")
        self._unavailable = None if error is None else f"Kafka does not acknowledge records: {error.str()}"
        if error is not None and (error.fatal() or error.code() == errors.FATAL):
            _log.warning("the producer cannot go on, and a new one takes over")
            self._producer = self._open()

    def _produce(self, one: _Waiting) -> None:
        produce, report = self._producer.produce, one.report
        try:
            for message in one.messages:
                produce(message.topic, message.value, message.key, on_delivery=report)
        except KafkaException as error:
            one.failed = error.args[0]
        except BufferError:
            one.failed = KafkaError(errors.QUEUE_FULL)


def _answer(waiting: Sequence[_Waiting]) -> None:
    for one in waiting:
        if one.answer.done():  # its request was cancelled
            continue
        if one.failed is None:
            one.answer.set_result(one.too_large)
        else:
            one.answer.set_exception(Unavailable(one.failed.str()))
