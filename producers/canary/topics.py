"""Looks for a probe in the topics: joined in `error-traces`, then grouped in `errors` and counted in `problems`."""

import logging
from typing import Self

from confluent_kafka import Message

from pipeline.kafka.admin import connect
from pipeline.kafka.offsets import OffsetLookup
from pipeline.kafka.reader import Reader
from pipeline.model import splice
from pipeline.model.problems import OCCURRENCE, PROBLEM
from producers.canary.settings import CanarySettings
from producers.canary.stores import lacks
from producers.canary.trace import Canary
from tracelink.errors import InvalidRecord, Unavailable, UserError
from tracelink.kafka.topics import TopicNames

_log = logging.getLogger(__name__)

_LONGEST_WAIT = 10.0

TOPIC_STAGES = ("joined", "grouped")
"""The stages that are checked in topics."""


class Sightings:
    """The state of one probe in the topics, from their messages in any order.

    Messages of other traces are not decoded: if many requests fail, there are many of them.
    """

    def __init__(self, names: TopicNames, canary: Canary) -> None:
        self._names = names
        self._canary = canary
        self._located: str | None = None
        self.missing: dict[str, str | None] = {
            "joined": f"not in {names.error_traces}",
            "grouped": f"not in {names.errors}",
        }
        """What is missing at each of TOPIC_STAGES, None if nothing is."""

    def fail(self, why: str) -> None:
        """Record why messages can no longer be read, for stages not reached yet."""
        self.missing = {stage: missing and why for stage, missing in self.missing.items()}

    def take(self, topic: str, key: bytes, value: bytes) -> None:
        """Process a message; raises InvalidRecord if it belongs to this probe and does not decode."""
        if topic == self._names.error_traces:
            if key == self._canary.key:
                self.missing["joined"] = self._unjoined(value)
        elif topic == self._names.errors:
            # Avro has the bytes of an id unchanged: search for them before decoding.
            if self._canary.trace_id in value and OCCURRENCE.decode(value)["traceId"] == self._canary.trace_id:
                self._located = key.decode(errors="replace")
                if self.missing["grouped"] is not None:
                    self.missing["grouped"] = f"problem {self._located} has not counted it in {self._names.problems}"
        elif topic == self._names.problems and self._canary.shown.encode() in value:
            newest = [sample["traceId"] for sample in PROBLEM.decode(value)["newest"]]
            if self._canary.shown in newest:
                self.missing["grouped"] = None

    def _unjoined(self, value: bytes) -> str | None:
        """Return what is missing in the probe's part: the join should put all records into one part."""
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
    """Reads the topics from their current ends on; a context manager that closes the reader. Joins no consumer group.

    Raises Unavailable if Kafka does not answer, or a topic is missing.
    """

    def __init__(self, settings: CanarySettings, canary: Canary) -> None:
        names = TopicNames(settings.topic_prefix)
        self.sightings = Sightings(names, canary)
        try:
            lookup = OffsetLookup(connect(settings, timeout=min(_LONGEST_WAIT, settings.canary_within)))
            topics = (names.error_traces, names.errors, names.problems)
            # The probe is sent later, so its messages come after these ends.
            ends = lookup.ends(one for topic in topics for one in lookup.partitions(topic))
            self._reader = Reader(settings, "tracelink-canary", {}, live=ends)
        except UserError as error:
            raise Unavailable(error.message) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    def poll(self, seconds: float) -> dict[str, str | None]:
        """Read for at most some seconds; return what is missing at each stage."""
        try:
            found = self._reader.poll(seconds)
        except UserError as error:
            self.sightings.fail(error.message)
            found = []
        for _, messages in found:
            for message in messages:
                self._take(message)
        return self.sightings.missing

    def _take(self, message: Message) -> None:
        topic = message.topic() or ""
        try:
            self.sightings.take(topic, message.key() or b"", message.value() or b"")
        except InvalidRecord as invalid:
            _log.warning("%s[%s]@%s does not decode: %s", topic, message.partition(), message.offset(), invalid)
