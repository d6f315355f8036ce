"""The headers of a dead letter: the payload stays untouched, they say where it came from and why it is here."""

from dataclasses import dataclass

from tracelink.errors import InvalidRecord

Headers = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a message was read; its time is in milliseconds since the epoch."""

    topic: str
    partition: int
    offset: int
    timestamp: int


def headers(error: InvalidRecord, origin: Origin, *, sink: str | None = None, kind: str | None = None) -> Headers:
    """Return the headers of a dead letter.

    `sink` names the sink that found it; `kind` (`span`, `log`, `trace`) says what the payload is where that is not the
    whole message, but one record cut out of a trace.
    """
    found = {
        "tracelink.reason": str(error.reason),
        "tracelink.detail": error.detail[:512],
        "tracelink.topic": origin.topic,
        "tracelink.partition": str(origin.partition),
        "tracelink.offset": str(origin.offset),
        "tracelink.timestamp": str(origin.timestamp),
        "tracelink.sink": sink,
        "tracelink.kind": kind,
    }
    return [(name, value.encode()) for name, value in found.items() if value is not None]
