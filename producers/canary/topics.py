"""Looks for a canary in the topics: joined in `error-traces`, located in `errors`, counted in `problems`."""

import logging
from contextlib import ExitStack
from typing import Any, Self

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from pipeline.model import splice
from pipeline.model.problems import OCCURRENCE, PROBLEM
from pipeline.runtime.watchdog import Ends
from producers.canary.settings import CanarySettings
from producers.canary.stores import lacks
from producers.canary.trace import Canary
from tracelink.errors import InvalidRecord, Unavailable
from tracelink.kafka.client import PASSING, client_log, outside_group
from tracelink.kafka.topics import TopicNames

_log = logging.getLogger(__name__)

_LONGEST_WAIT = 10.0
_MOST_MESSAGES = 1000


TOPIC_STAGES = ("joined", "grouped")
"""The stages at which the topics are read."""


class Sightings:
    """What the topics tell of one canary, from their records in any order.

    Of all others nothing is decoded: where much fails, much is read here.
    """

    def __init__(self, names: TopicNames, canary: Canary) -> None:
        self._names = names
        self._canary = canary
        self._located: str | None = None
        self.missing: dict[str, str | None] = {
            "joined": f"not in {names.error_traces}",
            "grouped": f"not in {names.errors}",
        }
        """What is missing at each of TOPIC_STAGES, None where nothing is."""

    def fail(self, why: str) -> None:
        """Note why more may not be seen."""
        self.missing = {stage: missing and why for stage, missing in self.missing.items()}

    def take(self, topic: str, key: bytes, value: bytes) -> None:
        """Take a record in; raises InvalidRecord where it is of this canary and cannot be read."""
        if topic == self._names.error_traces:
            if key == self._canary.key:
                self.missing["joined"] = self._unjoined(value)
        elif topic == self._names.errors:
            # Ids stand in a record as they are.
            if self._canary.trace_id in value and OCCURRENCE.decode(value)["traceId"] == self._canary.trace_id:
                self._located = key.decode(errors="replace")
                if self.missing["grouped"] is not None:
                    self.missing["grouped"] = f"problem {self._located} has not counted it in {self._names.problems}"
        elif topic == self._names.problems and self._canary.shown.encode() in value:
            newest = [sample["traceId"] for sample in PROBLEM.decode(value)["newest"]]
            if self._canary.shown in newest:
                self.missing["grouped"] = None

    def _unjoined(self, value: bytes) -> str | None:
        """Say what of it is not in its part: the join is to bring all of it together."""
        trace = splice.decode(value).trace
        spans, logs = {one["id"] for one in trace["spans"]}, {one["id"] for one in trace["logs"]}
        lacking = lacks(
            {"spans": len(self._canary.spans), "log lines": len(self._canary.logs)},
            {
                "spans": len(spans & {one["id"] for one in self._canary.spans}),
                "log lines": len(logs & {one["id"] for one in self._canary.logs}),
            },
        )
        return f"its part in {self._names.error_traces} has {lacking}" if lacking else None


class Topics:
    """Reads what comes to the topics from the moment it is opened; a context manager that closes it.

    Raises Unavailable where Kafka does not answer, or a topic is missing. No consumer group is joined.
    """

    def __init__(self, settings: CanarySettings, ends: Ends, canary: Canary) -> None:
        names = TopicNames(settings.topic_prefix)
        self.sightings = Sightings(names, canary)
        properties: dict[str, Any] = dict(
            outside_group(
                settings,
                "tracelink-canary",
                # The broker answers what is at its end only after this long.
                defaults={"fetch.wait.max.ms": 100},
            )
        )
        with ExitStack() as failed:
            try:
                self._consumer = Consumer(properties, logger=client_log(__name__))
                failed.callback(self._consumer.close)
                wanted = self._partitions(settings, (names.error_traces, names.errors, names.problems))
                # What is committed from now on lies behind the stable end.
                starts = ends(wanted)
                self._consumer.assign([TopicPartition(*where, starts[where].stable) for where in wanted])
            except KafkaException as error:
                where = f"Kafka at {settings.kafka_bootstrap_servers}"
                raise Unavailable(f"{where} does not answer: {error.args[0].str()}") from None
            failed.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def poll(self, seconds: float) -> dict[str, str | None]:
        """Read what comes within so many seconds; return what is missing at each stage."""
        for message in self._consumer.consume(_MOST_MESSAGES, seconds):
            self._take(message)
        return self.sightings.missing

    def _take(self, message: Message) -> None:
        error, topic = message.error(), message.topic() or ""
        if error is None:
            try:
                self.sightings.take(topic, message.key() or b"", message.value() or b"")
            except InvalidRecord as invalid:
                _log.warning("%s[%s]@%s cannot be read: %s", topic, message.partition(), message.offset(), invalid)
        elif error.code() not in PASSING:
            self.sightings.fail(f"cannot read {topic}: {error.str()}")

    def _partitions(self, settings: CanarySettings, topics: tuple[str, ...]) -> list[tuple[str, int]]:
        there = self._consumer.list_topics(timeout=min(_LONGEST_WAIT, settings.canary_within)).topics
        if missing := [topic for topic in topics if topic not in there]:
            where = f"Kafka at {settings.kafka_bootstrap_servers}"
            raise Unavailable(f"{where} has no topic {', '.join(missing)}: tracelink topics apply creates them")
        return [(topic, number) for topic in topics for number in there[topic].partitions]
