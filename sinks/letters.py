"""Producing dead letters, and knowing that they are there before anything is committed."""

import logging
from collections.abc import Iterable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from sinks.sink import DeadLetter
from tracelink.kafka import PARTITIONER, client_log, client_properties
from tracelink.settings import SinkSettings
from tracelink.topics import TopicNames, largest_message

_log = logging.getLogger(__name__)

_TIMEOUT_MS = 30_000


class DeadLetters:
    """Produces dead letters of one sink."""

    def __init__(self, settings: SinkSettings, sink: str) -> None:
        self._topic = TopicNames(settings.topic_prefix).dead_letters
        self._sink = sink
        properties: dict[str, Any] = dict(
            client_properties(
                settings,
                promised={"acks": "all", "enable.idempotence": True},
                defaults={
                    "partitioner": PARTITIONER,
                    "compression.type": "lz4",
                    "message.max.bytes": largest_message(settings),
                    "message.timeout.ms": _TIMEOUT_MS,
                },
            )
        )
        self._producer = Producer(properties, logger=client_log(__name__))

    def send(self, letters: Iterable[DeadLetter]) -> None:
        """Return when the brokers have acknowledged all; raises KafkaException where they did not within 30 s."""
        errors: list[KafkaError] = []

        def delivered(error: KafkaError | None, _message: object) -> None:
            if error is not None:
                errors.append(error)

        for letter in letters:
            self._producer.produce(
                self._topic,
                letter.payload,
                letter.message.key,
                headers=letter.headers(self._sink),  # type: ignore[arg-type]  # the stub wants an invariant list
                on_delivery=delivered,
            )
            self._producer.poll(0)
        self._producer.flush()
        if errors:
            raise KafkaException(errors[0])
