"""Rounds of the gateway's delivery, with a producer whose broker does as a test says."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from prometheus_client import CollectorRegistry

from producers.gateway import delivery
from producers.gateway.delivery import Delivery
from producers.gateway.metrics import GatewayMetrics
from tests.kit.waiting import wait_for
from tracelink.errors import Unavailable
from tracelink.kafka import errors
from tracelink.kafka.messages import LOGS, SPANS, UNLINKED_LOGS, EncodedRecord
from tracelink.settings import RecordSettings

Report = Callable[[KafkaError, None], None]


class _Producer:
    """A producer that delivers all messages when it is flushed, but for those that a test wants to fail."""

    made: list["_Producer"]
    errors: dict[bytes, KafkaError]
    """Of messages, by their values; reported at a flush."""
    raises: dict[bytes, Exception]
    """Of messages; raised by `produce`."""
    away = False
    stuck = False
    """Not even a purge is reported."""

    def __init__(self, _: dict[str, Any], logger: object) -> None:
        del logger
        self.made.append(self)
        self.sent: list[bytes] = []
        self._queue: list[tuple[bytes, Report]] = []

    def produce(self, _topic: str, value: bytes, _key: bytes | None, *, on_delivery: Report) -> None:
        if value in self.raises:
            raise self.raises[value]
        self._queue.append((value, on_delivery))

    def flush(self, _: float) -> int:
        if self.away:
            return len(self._queue)
        for value, report in self._queue:
            if value in self.errors:
                report(self.errors[value], None)
            else:
                self.sent.append(value)
        self._queue.clear()
        return 0

    def purge(self) -> None:
        if not self.stuck:
            for _, report in self._queue:
                report(KafkaError(KafkaError._PURGE_QUEUE), None)  # noqa: SLF001 - the client's name for it
            self._queue.clear()

    def list_topics(self, timeout: float) -> None:
        del timeout
        if self.away:
            raise KafkaException(KafkaError(errors.RESOLVE))


@pytest.fixture
def producers(monkeypatch: pytest.MonkeyPatch) -> list[_Producer]:
    for name, value in (("made", []), ("errors", {}), ("raises", {}), ("away", False), ("stuck", False)):
        monkeypatch.setattr(_Producer, name, value, raising=False)
    monkeypatch.setattr(delivery, "Producer", _Producer)
    return _Producer.made


@pytest.fixture
def running(producers: list[_Producer]) -> Iterator[Delivery]:
    del producers
    one = Delivery(RecordSettings(), GatewayMetrics(CollectorRegistry()))
    yield one
    one.close()


def _message(value: bytes, kind: str = SPANS) -> EncodedRecord:
    return EncodedRecord(kind, "topic", b"key", value)


def _deliver(running: Delivery, *values: bytes, within: float = 30.0) -> dict[str, int]:
    return asyncio.run(running.deliver([_message(one) for one in values], time.monotonic() + within))


def test_a_request_is_answered_when_all_its_messages_are_delivered(
    running: Delivery, producers: list[_Producer]
) -> None:
    assert _deliver(running, b"a", b"b") == {}
    assert producers[0].sent == [b"a", b"b"]
    assert _deliver(running) == {}
    assert running.unavailable() is None


def test_messages_that_are_too_large_are_counted_by_kind_and_the_others_are_delivered(
    running: Delivery, producers: list[_Producer]
) -> None:
    too_large = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
    _Producer.errors = {b"b": too_large}
    _Producer.raises = {b"c": KafkaException(too_large)}
    messages = [
        _message(b"a", LOGS),
        _message(b"b", UNLINKED_LOGS),
        _message(b"c", UNLINKED_LOGS),
        _message(b"d", LOGS),
    ]
    assert asyncio.run(running.deliver(messages, time.monotonic() + 30)) == {UNLINKED_LOGS: 2}
    assert producers[0].sent == [b"a", b"d"]


def test_only_the_request_of_a_message_that_fails_is_unavailable(running: Delivery) -> None:
    _Producer.errors = {b"bad": KafkaError(KafkaError._TIMED_OUT)}  # noqa: SLF001 - the client's name for it

    async def both() -> list[Any]:
        until = time.monotonic() + 30
        requests = [running.deliver([_message(one)], until) for one in (b"good", b"bad")]
        return await asyncio.gather(*requests, return_exceptions=True)

    good, bad = asyncio.run(both())
    assert good == {}
    assert isinstance(bad, Unavailable)


@pytest.mark.parametrize("error", [MemoryError(), TypeError("odd"), BufferError()])
def test_whatever_producing_raises_the_request_is_answered_and_the_next_one_goes_well(
    running: Delivery, error: Exception
) -> None:
    _Producer.raises = {b"bad": error}
    with pytest.raises(Unavailable):
        _deliver(running, b"bad")
    assert _deliver(running, b"good") == {}


def test_after_a_fatal_error_a_new_producer_takes_over(running: Delivery, producers: list[_Producer]) -> None:
    _Producer.raises = {b"bad": KafkaException(KafkaError(errors.FATAL, fatal=True))}
    with pytest.raises(Unavailable):
        _deliver(running, b"bad")
    assert _deliver(running, b"good") == {}
    assert [one.sent for one in producers] == [[], [b"good"]]


@pytest.mark.parametrize("stuck", [False, True])
def test_what_kafka_does_not_acknowledge_in_time_is_unavailable(
    running: Delivery,
    monkeypatch: pytest.MonkeyPatch,
    stuck: bool,  # noqa: FBT001 - drawn
) -> None:
    monkeypatch.setattr(_Producer, "away", True)
    monkeypatch.setattr(_Producer, "stuck", stuck)
    with pytest.raises(Unavailable):
        _deliver(running, b"a", within=0.5)
    assert "does not acknowledge" in (running.unavailable() or "")


def test_a_request_whose_time_is_up_is_not_produced(running: Delivery, producers: list[_Producer]) -> None:
    with pytest.raises(Unavailable, match="time was up"):
        _deliver(running, b"a", within=0.1)
    assert producers[0].sent == []


def test_it_notices_without_a_request_that_kafka_is_back(running: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Producer, "away", True)
    with pytest.raises(Unavailable):
        _deliver(running, b"a", within=0.5)
    monkeypatch.setattr(_Producer, "away", False)
    wait_for("Kafka to be available", lambda: running.unavailable() is None)
