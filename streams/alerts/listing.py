"""The problems as their topic tells: its newest record of each fingerprint, empty where one is forgotten."""

import logging
from time import monotonic
from typing import Self

from confluent_kafka import Message

from pipeline.kafka.admin import apply_command, connect
from pipeline.kafka.offsets import OffsetLookup
from pipeline.kafka.reader import Reader
from pipeline.model.problems import PROBLEM, Problem
from tracelink.errors import InvalidRecord, UserError
from tracelink.kafka.topics import TopicNames
from tracelink.settings import KafkaSettings

_log = logging.getLogger(__name__)

_POLL = 0.2
_SILENCE = 30.0


class Listing:
    """The newest state of each problem, from the records of the topic in their order."""

    def __init__(self) -> None:
        self._problems: dict[bytes, Problem] = {}

    def take(self, key: bytes, value: bytes | None) -> None:
        """Take a record in; raises InvalidRecord where it is no problem."""
        if not value:
            self._problems.pop(key, None)
        else:
            self._problems[key] = PROBLEM.decode(value)

    def shown(self, *, quiet: bool = False, limit: int | None = None) -> list[Problem]:
        """Return those that fire, with `quiet` the others, too; the newest first, at most `limit`."""
        found = [one for one in self._problems.values() if quiet or one["status"] == "FIRING"]
        return sorted(found, key=lambda one: (-one["firstSeen"], one["fingerprint"]))[:limit]

    def count(self) -> tuple[int, int]:
        """Return how many fire and how many are quiet."""
        firing = sum(one["status"] == "FIRING" for one in self._problems.values())
        return firing, len(self._problems) - firing


class ProblemsTopic:
    """Reads the topic of problems from its beginning, outside of any group; a context manager that closes it.

    Raises UserError where Kafka does not answer or the topic is missing.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        lookup, topic = OffsetLookup(connect(settings)), TopicNames(settings.topic_prefix).problems
        if topic not in lookup.topics():
            raise UserError(f"Kafka has no topic {topic}. Create the topics with: {apply_command(settings)}")
        self._whole = lookup.whole(topic)
        self.listing = Listing()
        self._reader = Reader(settings, "tracelink-errors", {}, live={one: of.start for one, of in self._whole.items()})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    @property
    def is_read(self) -> bool:
        """Whether all that the topic held has been read."""
        return all(self._reader.positions[partition] >= of.end for partition, of in self._whole.items())

    def poll(self, seconds: float) -> bool:
        """Read what comes within so many seconds, and tell whether anything did."""
        found = self._reader.poll(seconds)
        for _, messages in found:
            for message in messages:
                self._take(message)
        return bool(found)

    def read_to_end(self) -> None:
        """Read all that the topic holds; raises UserError where Kafka says nothing for half a minute."""
        until = monotonic() + _SILENCE
        while not self.is_read:
            if self.poll(_POLL):
                until = monotonic() + _SILENCE
            elif monotonic() > until:
                raise UserError("Kafka does not answer any more.")

    def _take(self, message: Message) -> None:
        try:
            self.listing.take(message.key() or b"", message.value())
        except InvalidRecord as invalid:
            place = f"{message.topic()}[{message.partition()}]@{message.offset()}"
            _log.warning("%s is no problem and is left out: %s", place, invalid)
