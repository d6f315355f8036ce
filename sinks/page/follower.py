"""A thread that follows a topic, and tries again where Kafka does not answer."""

import threading
from abc import ABC, abstractmethod
from typing import Self

from confluent_kafka import KafkaException

from tracelink.errors import UserError

POLL_SECONDS = 0.5
_END_SECONDS = 2.0


class Follower(ABC):
    """Runs `follow` in a thread of its own; a context manager that ends it. `stopping` asks it to end."""

    def __init__(self, name: str, seconds_between_tries: float) -> None:
        self.stopping = threading.Event()
        self._between = seconds_between_tries
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        # It reads only, so nothing is lost if it still waits for a Kafka that does not answer.
        self._thread.join(_END_SECONDS)

    @abstractmethod
    def follow(self) -> None:
        """Read until `stopping` is set; UserError and KafkaException lead to another try."""

    @abstractmethod
    def failed(self, error: Exception) -> None:
        """Take note of the error that ended a try."""

    def _run(self) -> None:
        while not self.stopping.is_set():
            try:
                self.follow()
            except (UserError, KafkaException) as error:
                self.failed(error)
                self.stopping.wait(self._between)
