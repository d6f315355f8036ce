"""Produces the records of requests, and says when Kafka has acknowledged them.

A thread works in rounds: it produces the records of all requests that wait, and then flushes. A flush costs a round
trip whatever it has to send, so requests that come meanwhile share the next one; a report for each message would cost
as much as sending it. Kafka's idempotent producer keeps a retry inside a round from writing a record twice.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as Report

from pipeline.failpoints import Failpoint, hit
from producers.gateway.metrics import GatewayMetrics
from tracelink.errors import Unavailable, UserError
from tracelink.kafka import errors
from tracelink.kafka.client import client_log, property_hint, record_properties
from tracelink.kafka.messages import EncodedRecord
from tracelink.settings import RecordSettings

_log = logging.getLogger(__name__)

_MOST_MESSAGES = 50_000
"""Messages of one round; the requests that are left take the next one."""
_SHORTEST_FLUSH = 0.25
"""Seconds; a request that has less time left is not produced."""
_PURGE_SECONDS = 1.0
_PROBE_SECONDS = 1.0
"""While Kafka is away and no request comes, it is asked this often if it is back."""
_PATIENCE_SECONDS = 10.0
"""A request waits so much longer than it may only if the thread hangs."""


@dataclass(eq=False, slots=True)
class _Waiting:
    """The messages of a request, and its answer: the messages that Kafka can never take, by kind."""

    messages: Sequence[EncodedRecord]
    deadline: float
    answer: "asyncio.Future[Counter[str]]"
    too_large: Counter[str] = field(default_factory=Counter)
    failed: str | None = None
    fatal: bool = False

    def report(self, kind: str, error: KafkaError | None, _: Report | None = None) -> None:
        """Note a message of this kind that was not delivered."""
        if error is None:
            return
        if error.code() in errors.MESSAGE_TOO_LARGE:  # no repeat can make Kafka take it
            self.too_large[kind] += 1
        else:
            self.failed = error.str()
            self.fatal = self.fatal or error.fatal() or error.code() == errors.FATAL

    def settle(self) -> None:
        """Set the answer, unless its request was cancelled."""
        if self.answer.done():
            return
        if self.failed is None:
            self.answer.set_result(self.too_large)
        else:
            self.answer.set_exception(Unavailable(self.failed))


class Delivery:
    """Delivers the messages of requests to Kafka."""

    def __init__(self, settings: RecordSettings, metrics: GatewayMetrics) -> None:
        """Open the producer; raises UserError if a Kafka property is wrong."""
        properties = record_properties(
            settings,
            # Requests in hand bound the memory, not the client's queue.
            promised={"queue.buffering.max.messages": 0, "queue.buffering.max.kbytes": 2_000_000},
            defaults={"linger.ms": 5},
        )
        self._config: dict[str, Any] = {**properties, "delivery.report.only.error": True}
        self._metrics = metrics
        self._requests: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._producer = self._open()
        self._unavailable: str | None = None
        self._thread = Thread(target=self._run, name="gateway-delivery", daemon=True)
        self._thread.start()

    async def deliver(self, messages: Sequence[EncodedRecord], deadline: float) -> Counter[str]:
        """Wait until Kafka has all messages; return the number of those that are too large for it, by kind.

        Raises Unavailable if it has not acknowledged the others by the deadline (monotonic, seconds); it may have some
        of them, or get them later.
        """
        if not messages:
            return Counter()
        waiting = _Waiting(messages, deadline, asyncio.get_running_loop().create_future())
        self._requests.put(waiting)
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic()) + _PATIENCE_SECONDS):
                return await waiting.answer
        except TimeoutError:
            raise Unavailable("the delivery to Kafka hangs") from None

    def unavailable(self) -> str | None:
        """Return why records are not acknowledged; None if the last ones were."""
        return self._unavailable if self._thread.is_alive() else "The delivery to Kafka has ended."

    def close(self) -> None:
        """End after the requests that wait."""
        self._requests.put(None)
        self._thread.join()

    def _open(self) -> Producer:
        try:
            return Producer(self._config, logger=client_log(__name__))
        except KafkaException as error:
            raise UserError(property_hint(error.args[0])) from None

    def _run(self) -> None:
        ending = False
        while not ending:
            try:
                first = self._requests.get(timeout=_PROBE_SECONDS if self._unavailable else None)
            except Empty:
                self._probe()
                continue
            if first is None:
                return
            requests = [first]
            ending = self._gather(requests)
            try:
                with self._metrics.round_seconds.time():
                    self._pass(requests)
            except Exception as error:  # noqa: BLE001 - every request gets an answer, and the next round may go well
                _log.exception("a round failed")
                for one in requests:
                    one.failed = one.failed or f"{type(error).__name__}: {error}"
            with suppress(RuntimeError):  # the loop has ended, and with it the requests
                first.answer.get_loop().call_soon_threadsafe(_settle, requests)

    def _gather(self, requests: list[_Waiting]) -> bool:
        """Add the requests that wait; return True if there will be no more."""
        messages = len(requests[0].messages)
        with suppress(Empty):
            while messages < _MOST_MESSAGES:
                following = self._requests.get_nowait()
                if following is None:
                    return True
                requests.append(following)
                messages += len(following.messages)
        return False

    def _pass(self, requests: Sequence[_Waiting]) -> None:
        """Produce the messages of a round, and wait until Kafka has them or the first deadline has come."""
        fresh = []
        last = time.monotonic() + _SHORTEST_FLUSH
        for one in requests:
            if one.deadline < last:
                one.failed = "its time was up before the records of earlier requests were acknowledged"
            else:
                self._produce(one)
                fresh.append(one)
        hit(Failpoint.GATEWAY_PRODUCED)
        if fresh:
            self._flush(fresh, min(one.deadline for one in fresh))
        hit(Failpoint.GATEWAY_ACKNOWLEDGED)
        self._note(next((one.failed for one in requests if one.failed is not None), None))
        if any(one.fatal for one in requests):
            _log.warning("the producer cannot go on, and a new one takes over")
            self._producer = self._open()

    def _produce(self, one: _Waiting) -> None:
        produce = self._producer.produce
        reports = {kind: partial(one.report, kind) for kind in {message.kind for message in one.messages}}
        for message in one.messages:
            try:
                produce(message.topic, message.value, message.key, on_delivery=reports[message.kind])
            except KafkaException as error:
                one.report(message.kind, error.args[0])
            except BufferError:
                one.failed = "the producer's queue is full"
            if one.failed is not None:
                return

    def _flush(self, requests: Sequence[_Waiting], deadline: float) -> None:
        if not self._producer.flush(max(0.0, deadline - time.monotonic())):
            return
        # Later rounds must not wait for these messages; each of them is reported as failed.
        self._producer.purge()
        if self._producer.flush(_PURGE_SECONDS):
            for one in requests:
                one.failed = one.failed or "Kafka's answer was not seen in time"

    def _probe(self) -> None:
        """Ask Kafka if it is there, while no request does."""
        with suppress(KafkaException):
            self._producer.list_topics(timeout=_PROBE_SECONDS)
            self._note(None)

    def _note(self, error: str | None) -> None:
        """Note the result of a round, and log a change."""
        if error is not None and self._unavailable is None:
            _log.warning("Kafka has not acknowledged the records of a request: %s", error)
        elif error is None and self._unavailable is not None:
            _log.info("Kafka answers again")
        self._unavailable = None if error is None else f"Kafka does not acknowledge records: {error}"


def _settle(requests: Sequence[_Waiting]) -> None:
    for one in requests:
        one.settle()
