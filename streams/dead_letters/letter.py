"""A dead letter as a value: its place and time, its headers, its untouched payload; and which letters are meant."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from confluent_kafka import Message

from tracelink.kafka.topics import Partition

PREFIX = "tracelink."
CUT_FROM = f"{PREFIX}cut-from-bytes"
"""Header of a payload that was too large for the topic: how large it was before it was cut."""

_MOST = 2**31 - 2
_NAME = re.compile(r"^(\d{1,9})-(\d{1,18})$")
_NUMBER = re.compile(r"^\d{1,18}$")


class Name(NamedTuple):
    """The name of a letter: its partition and offset in the topic of dead letters, `3-17`."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}-{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name; raises ValueError."""
        found = _NAME.match(text.strip())
        if found is None:
            raise ValueError(f"{text!r} is no dead letter: write PARTITION-OFFSET, as the list does (3-17)")
        return cls(int(found[1]), int(found[2]))


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter; `headers` are all it has, as text, and `timestamp` is its own, in milliseconds.

    `size` are the bytes of the payload, which a letter that is only listed goes without.
    """

    name: Name
    timestamp: int
    headers: Mapping[str, str]
    key: bytes | None
    payload: bytes | None
    size: int

    @classmethod
    def of(cls, partition: Partition, message: "Message") -> Self:
        """Return what a message of the topic of dead letters is."""
        headers = message.headers() or []
        pairs = headers.items() if isinstance(headers, dict) else headers
        texts = {name: _text(value) for name, value in pairs}
        name = Name(partition[1], message.offset() or 0)
        payload = message.value()
        return cls(name, message.timestamp()[1], texts, message.key(), payload, len(payload or b""))

    def without_payload(self) -> Self:
        """Return it as it is listed."""
        return replace(self, payload=None)

    @property
    def reason(self) -> str:
        """Why it is here, in a word."""
        return self.headers.get(f"{PREFIX}reason", "")

    @property
    def detail(self) -> str:
        """Why it is here."""
        return self.headers.get(f"{PREFIX}detail", "")

    @property
    def topic(self) -> str:
        """The topic that it came from."""
        return self.headers.get(f"{PREFIX}topic", "")

    @property
    def partition(self) -> int | None:
        """The partition that it came from."""
        return self._number("partition")

    @property
    def offset(self) -> int | None:
        """The offset that it had there."""
        return self._number("offset")

    @property
    def came(self) -> int | None:
        """The time that it had there, in milliseconds."""
        return self._number("timestamp")

    @property
    def sink(self) -> str | None:
        """The sink that found it, if it was one."""
        return self.headers.get(f"{PREFIX}sink")

    @property
    def kind(self) -> str | None:
        """What was cut out of a message (`span`, `log`); None where it is the whole message."""
        return self.headers.get(f"{PREFIX}kind")

    @property
    def cut_from(self) -> int | None:
        """How many bytes the payload had before it was cut; None where it is whole."""
        # A header that does not say how many says all the same that it is not whole.
        return (self._number("cut-from-bytes") or 0) if CUT_FROM in self.headers else None

    @property
    def redriven(self) -> int:
        """How many times its headers say that it was redriven."""
        return min(self._number("redriven") or 0, _MOST)

    def digest(self) -> bytes:
        """Return what its key and payload are known by when they come back."""
        found = sha256()
        for part in (self.key, self.payload):
            found.update(b"-" if part is None else b"%d:%b" % (len(part), part))
        return found.digest()

    def _number(self, header: str) -> int | None:
        text = self.headers.get(PREFIX + header, "")
        return int(text) if _NUMBER.match(text) else None


def _text(value: str | bytes | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""


class Filters(NamedTuple):
    """What letters are asked for; an empty filter leaves all through. `since` and `until` are moments as given."""

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
        """Whether nothing was asked for: all are meant, or it was forgotten."""
        return self == Filters()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Filters whose moments are known, in milliseconds, `begin` included and `end` not; `topics` are full names."""

    filters: Filters
    begin: int | None = None
    end: int | None = None
    topics: frozenset[str] = frozenset()

    def __contains__(self, letter: Letter) -> bool:
        asked = self.filters
        return (
            (not asked.letters or letter.name in asked.letters)
            and (not asked.reasons or letter.reason in asked.reasons)
            and (asked.sink is None or letter.sink == asked.sink)
            and (self.begin is None or letter.timestamp >= self.begin)
            and (self.end is None or letter.timestamp < self.end)
            and (not self.topics or letter.topic in self.topics)
            and (asked.partition is None or letter.partition == asked.partition)
            and (asked.offset is None or letter.offset == asked.offset)
        )
