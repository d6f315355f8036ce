"""The headers of a dead letter: its payload stays untouched, they say where it came from and why it is here."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tracelink.errors import InvalidRecord

if TYPE_CHECKING:
    from confluent_kafka import Message

REASON = "tracelink.reason"
DETAIL = "tracelink.detail"
TOPIC = "tracelink.topic"
PARTITION = "tracelink.partition"
OFFSET = "tracelink.offset"
"""Spelled like `replay_markers.ORIGIN`, which a copied record has: there it is the offset in the live topic."""
TIMESTAMP = "tracelink.timestamp"
SINK = "tracelink.sink"
KIND = "tracelink.kind"
CUT_FROM = "tracelink.cut-from-bytes"
"""Header of a payload that was too large for the topic: how many bytes it had before it was cut."""
REDRIVEN = "tracelink.redriven"
"""Header of a message that was a dead letter before: how often it was sent again. Its next dead letter has it, too."""

_LONGEST_DETAIL = 512
_NUMBER = re.compile(r"^\d{1,18}$")
_MOST_REDRIVEN = 2**31 - 2  # one more is the most that Avro's `int` can hold

Headers = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a message was read; its time is in milliseconds since the epoch."""

    topic: str
    partition: int
    offset: int
    timestamp: int

    @classmethod
    def of(cls, message: "Message") -> Self:
        """Return the origin of a message, or of an event, that a consumer returned."""
        return cls(message.topic() or "", message.partition() or 0, message.offset() or 0, message.timestamp()[1])


def headers(error: InvalidRecord, origin: Origin, *, sink: str | None = None, kind: str | None = None) -> Headers:
    """Return the headers of a dead letter.

    `sink` names the sink that found it; `kind` (`span`, `log`, `trace`) says what the payload is where that is not the
    whole message, but one record cut out of a trace.
    """
    found = {
        REASON: str(error.reason),
        DETAIL: error.detail[:_LONGEST_DETAIL],
        TOPIC: origin.topic,
        PARTITION: str(origin.partition),
        OFFSET: str(origin.offset),
        TIMESTAMP: str(origin.timestamp),
        SINK: sink,
        KIND: kind,
    }
    return [(name, value.encode()) for name, value in found.items() if value is not None]


def redriven(headers: Iterable[tuple[str, Any]] | None) -> Headers:
    """Return of a message's headers those that its dead letter must carry on."""
    return [(name, value) for name, value in headers or () if name == REDRIVEN and value is not None]


@dataclass(frozen=True, slots=True)
class DeadLetterHeaders:
    """What the headers of a dead letter say; what they do not say, or not as a number where it is one, is None."""

    texts: Mapping[str, str]
    """All headers, as text."""
    reason: str
    """Why it is here, in a word; empty where they do not say."""
    detail: str
    topic: str
    """The topic that it came from; empty where they do not say."""
    partition: int | None
    offset: int | None
    timestamp: int | None
    """The time that it had there, in milliseconds since the epoch."""
    sink: str | None
    """The sink that found it, if it was one."""
    kind: str | None
    """What was cut out of a message (`span`, `log`); None where it is the whole message."""
    cut_from: int | None
    """How many bytes the payload had before it was cut, 0 where that is not known; None where it is whole."""
    redriven: int
    """How many times it was redriven."""

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> Self:
        """Read headers, given as text."""
        return cls(
            texts,
            reason=texts.get(REASON, ""),
            detail=texts.get(DETAIL, ""),
            topic=texts.get(TOPIC, ""),
            partition=_number(texts.get(PARTITION)),
            offset=_number(texts.get(OFFSET)),
            timestamp=_number(texts.get(TIMESTAMP)),
            sink=texts.get(SINK),
            kind=texts.get(KIND),
            # A header that does not say how many says all the same that it is not whole.
            cut_from=(_number(texts[CUT_FROM]) or 0) if CUT_FROM in texts else None,
            redriven=min(_number(texts.get(REDRIVEN)) or 0, _MOST_REDRIVEN),
        )

    @classmethod
    def of(cls, message: "Message") -> Self:
        """Read the headers of a message of the topic of dead letters."""
        found = message.headers() or []
        pairs = found.items() if isinstance(found, dict) else found
        return cls.parse({name: _text(value) for name, value in pairs})


def _number(text: str | None) -> int | None:
    return int(text) if text and _NUMBER.match(text) else None


def _text(value: str | bytes | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""
