"""A dead letter as a value: its name, time, headers and unchanged payload; and the filters that select dead letters."""

import re
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, Self

from pipeline.model.dead_letters import DeadLetterHeaders
from tracelink.kafka.topics import PartitionId

if TYPE_CHECKING:
    from confluent_kafka import Message

_NAME = re.compile(r"^(\d{1,9})-(\d{1,18})$")


class Name(NamedTuple):
    """The name of a dead letter: its partition and offset in the topic of dead letters, `3-17`."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}-{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a name; raises ValueError."""
        found = _NAME.match(text.strip())
        if found is None:
            raise ValueError(f"{text!r} is not the name of a dead letter: use PARTITION-OFFSET, as in the list (3-17)")
        return cls(int(found[1]), int(found[2]))


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter; `timestamp` is its own, in milliseconds.

    `size` is the payload's number of bytes; it stays if `payload` is dropped (`without_payload`).
    """

    name: Name
    timestamp: int
    headers: DeadLetterHeaders
    key: bytes | None
    payload: bytes | None
    size: int

    @classmethod
    def of(cls, partition: PartitionId, message: "Message") -> Self:
        """Return the dead letter in a message."""
        name = Name(partition[1], message.offset() or 0)
        headers, payload = DeadLetterHeaders.of(message), message.value()
        return cls(name, message.timestamp()[1], headers, message.key(), payload, len(payload or b""))

    def without_payload(self) -> Self:
        """Return a copy without the payload, for lists."""
        return replace(self, payload=None)

    def digest(self) -> bytes:
        """Return the hash of its key and payload, by which the message is recognised if it comes back."""
        found = sha256()
        for part in (self.key, self.payload):
            found.update(b"-" if part is None else b"%d:%b" % (len(part), part))
        return found.digest()


class Filters(NamedTuple):
    """Filters of dead letters; an empty one matches all. `since` and `until` are time specs as given."""

    letters: tuple[Name, ...] = ()
    reasons: tuple[str, ...] = ()
    sink: str | None = None
    since: str | None = None
    until: str | None = None
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None

    @property
    def is_empty(self) -> bool:
        """True if no filter is set: the user means all, or has forgotten it."""
        return self == Filters()


@dataclass(frozen=True, slots=True)
class Query:
    """Resolved filters: times in milliseconds, including `begin` and excluding `end`; `topics` are full names."""

    filters: Filters
    begin: int | None = None
    end: int | None = None
    topics: frozenset[str] = frozenset()

    def __contains__(self, letter: DeadLetter) -> bool:
        asked = self.filters
        return (
            (not asked.letters or letter.name in asked.letters)
            and (not asked.reasons or letter.headers.reason in asked.reasons)
            and (asked.sink is None or letter.headers.sink == asked.sink)
            and (self.begin is None or letter.timestamp >= self.begin)
            and (self.end is None or letter.timestamp < self.end)
            and (not self.topics or letter.headers.topic in self.topics)
            and (asked.partition is None or letter.headers.partition == asked.partition)
            and (asked.offset is None or letter.headers.offset == asked.offset)
        )
