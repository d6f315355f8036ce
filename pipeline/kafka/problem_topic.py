"""The problems in their topic: the newest record of each fingerprint; an empty record removes the problem."""

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
    """The newest state of each problem; takes the topic's records in their order."""

    def __init__(self) -> None:
        self._problems: dict[bytes, Problem] = {}

    def take(self, key: bytes, value: bytes | None) -> None:
        """Take in a record; raises InvalidRecord if it is not a problem."""
        if not value:
            self._problems.pop(key, None)
        else:
            self._problems[key] = PROBLEM.decode(value)

    def shown(self, *, quiet: bool = False, limit: int | None = None) -> list[Problem]:
        """Return the firing problems, with `quiet` also the resolved ones; the newest first, at most `limit`."""
        found = [one for one in self._problems.values() if quiet or one["status"] == "FIRING"]
        return sorted(found, key=lambda one: (-one["firstSeen"], one["fingerprint"]))[:limit]

    def count(self) -> tuple[int, int]:
        """Return the numbers of firing and resolved problems."""
        firing = sum(one["status"] == "FIRING" for one in self._problems.values())
        return firing, len(self._problems) - firing


class ProblemsTopic:
    """Reads the topic of problems from its beginning, without a consumer group; a context manager.

    Raises UserError if Kafka does not answer or the topic is missing.
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
        """True if the topic is read to its end at the start."""
        return all(self._reader.positions[partition] >= of.end for partition, of in self._whole.items())

    def poll(self, seconds: float) -> bool:
        """Read for so many seconds; returns True if any record came."""
        found = self._reader.poll(seconds)
        for _, messages in found:
            for message in messages:
                self._take(message)
        return bool(found)

    def read_to_end(self) -> None:
        """Read the whole topic; raises UserError if Kafka does not answer for 30 s."""
        until = monotonic() + _SILENCE
        while not self.is_read:
            if self.poll(_POLL):
                until = monotonic() + _SILENCE
            elif monotonic() > until:
                raise UserError("Kafka no longer answers.")

    def _take(self, message: Message) -> None:
        try:
            self.listing.take(message.key() or b"", message.value())
        except InvalidRecord as invalid:
            place = f"{message.topic()}[{message.partition()}]@{message.offset()}"
            _log.warning("%s is not a problem and is skipped: %s", place, invalid)
