"""The headers of a dead letter: its origin and the reason. Its payload stays unchanged."""

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
"""The same spelling as `replay_markers.ORIGIN`; in a copied record it is the offset in the live topic."""
TIMESTAMP = "tracelink.timestamp"
SINK = "tracelink.sink"
KIND = "tracelink.kind"
CUT_FROM = "tracelink.cut-from-bytes"
"""Header of a truncated payload, which was too large for the topic: its original size in bytes."""
REDRIVEN = "tracelink.redriven"
"""Header of a redriven message: how often it was redriven. If it becomes a dead letter again, that has it, too."""

_LONGEST_DETAIL = 512
_NUMBER = re.compile(r"^\d{1,18}$")
_MOST_REDRIVEN = 2**31 - 2  # one more is the largest `int` of Avro

Headers = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Origin:
    """The place and time of a message; the timestamp is in milliseconds since the epoch."""

    topic: str
    partition: int
    offset: int
    timestamp: int

    @classmethod
    def of(cls, message: "Message") -> Self:
        """Return the origin of a message or an event from a consumer."""
        return cls(message.topic() or "", message.partition() or 0, message.offset() or 0, message.timestamp()[1])


def headers(error: InvalidRecord, origin: Origin, *, sink: str | None = None, kind: str | None = None) -> Headers:
    """Return the headers of a dead letter.

    `sink` is the sink that wrote it, if any; `kind` is the kind of the payload (`span`, `log`, `trace`), if it is not
    the whole message.
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
    """Return those of a message's headers that its dead letter must keep."""
    return [(name, value) for name, value in headers or () if name == REDRIVEN and value is not None]


@dataclass(frozen=True, slots=True)
class DeadLetterHeaders:
    """The parsed headers of a dead letter; a missing header, or a number that is not one, is None."""

    texts: Mapping[str, str]
    """All headers, as text."""
    reason: str
    """See `tracelink.errors.Reason`; empty if unknown."""
    detail: str
    topic: str
    """The topic that the message came from; empty if unknown."""
    partition: int | None
    offset: int | None
    timestamp: int | None
    """The timestamp of the message in that topic, in milliseconds since the epoch."""
    sink: str | None
    """The sink that wrote it, if any."""
    kind: str | None
    """The kind of record that was taken out of a message (`span`, `log`); None for the whole message."""
    cut_from: int | None
    """The size of the payload in bytes before it was truncated, 0 if unknown; None if it is complete."""
    redriven: int
    """How many times the message was redriven."""

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> Self:
        """Parse headers, given as text."""
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
            # The header without a valid number still means that the payload was truncated.
            cut_from=(_number(texts[CUT_FROM]) or 0) if CUT_FROM in texts else None,
            redriven=min(_number(texts.get(REDRIVEN)) or 0, _MOST_REDRIVEN),
        )

    @classmethod
    def of(cls, message: "Message") -> Self:
        """Parse the headers of a message of `dead-letters`."""
        found = message.headers() or []
        pairs = found.items() if isinstance(found, dict) else found
        return cls.parse({name: _text(value) for name, value in pairs})


def _number(text: str | None) -> int | None:
    return int(text) if text and _NUMBER.match(text) else None


def _text(value: str | bytes | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""
