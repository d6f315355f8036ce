"""Sending a run's messages, and the record of what the brokers have said to each."""

import time
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Event, Thread

from confluent_kafka import KafkaError, Producer
from confluent_kafka import Message as KafkaMessage

from tests.faults.traffic import Message

# Said before anything was written: all other errors leave it open.
_REFUSALS = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE, KafkaError.INVALID_RECORD})
_TICK = 0.02
_PATIENCE = 120


class Fate(StrEnum):
    """What the brokers have said to a message."""

    UNKNOWN = "unknown"
    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"


@dataclass(slots=True)
class Sent:
    """A message that was handed to the client, and what became of it."""

    message: Message
    fate: Fate = Fate.UNKNOWN


@dataclass
class Manifest:
    """All messages of a run that were sent."""

    sent: list[Sent] = field(default_factory=list)

    def counts(self) -> Counter[Fate]:
        return Counter(one.fate for one in self.sent)


class Load:
    """Sends messages at their times, from a thread of its own, without ever waiting for the brokers."""

    def __init__(self, servers: str, prefix: str, messages: list[Message]) -> None:
        self.manifest = Manifest()
        self._messages = messages
        self._prefix = prefix
        self._enough = Event()
        self._ended = Event()
        self._started = 0.0
        self._producer = Producer(
            {
                "bootstrap.servers": servers,
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 5,
                "message.max.bytes": 10_000_000,
                "message.timeout.ms": _PATIENCE * 1000,
                "queue.buffering.max.messages": 2_000_000,
                "reconnect.backoff.max.ms": 1_000,
                "log_level": 0,
            }
        )
        self._thread = Thread(target=self._run, name="load")

    def start(self) -> None:
        self._started = time.monotonic()
        self._thread.start()

    def is_on(self) -> bool:
        """Tell whether it still has messages to send."""
        return not self._ended.is_set()

    def finish(self, seconds: float) -> Manifest:
        """Send no more once so many seconds have passed since the start, and wait until all is answered."""
        self._enough.wait(self._started + seconds - time.monotonic())
        self._enough.set()
        self._thread.join()
        return self.manifest

    def _run(self) -> None:
        for message in self._messages:
            while not self._enough.is_set() and time.monotonic() - self._started < message.at:
                self._producer.poll(_TICK)
            if self._enough.is_set():
                break
            self._send(message)
        self._ended.set()
        self._producer.flush(_PATIENCE)

    def _send(self, message: Message) -> None:
        one = Sent(message)
        self.manifest.sent.append(one)

        def delivered(error: KafkaError | None, _: KafkaMessage) -> None:
            if error is None:
                one.fate = Fate.ACKNOWLEDGED
            elif error.code() in _REFUSALS:
                one.fate = Fate.REFUSED

        topic = f"{self._prefix}{message.topic}"
        self._producer.produce(topic, message.value, message.key, on_delivery=delivered)
        self._producer.poll(0)
