"""From messages to a batch: what does not decode becomes a dead letter, alone."""

from collections.abc import Iterable

from sinks.sink import Batch, DeadLetter, Kind, Message, Part, UnlinkedLog
from tracelink import splice
from tracelink.codec import LOG_RECORD, SPAN
from tracelink.errors import InvalidRecord

_HEADERS: dict[str, tuple[Kind, bytes]] = {"span": ("span", SPAN.header), "log": ("log", LOG_RECORD.header)}


def decode(messages: Iterable[Message], unlinked_topic: str, *, logs: bool = True) -> Batch:
    """Decode messages: those of `unlinked_topic` hold one log record, all others a part of a trace.

    Without `logs` the log lines of parts are left out, good ones and bad ones.
    """
    parts: list[Part] = []
    unlinked: list[UnlinkedLog] = []
    letters: list[DeadLetter] = []
    for message in messages:
        try:
            if message.origin.topic == unlinked_topic:
                unlinked.append(UnlinkedLog(message, LOG_RECORD.decode(message.value)))
                continue
            decoded = splice.decode(message.value, logs=logs)
        except InvalidRecord as error:
            letters.append(DeadLetter(message, message.value, error))
            continue
        parts.append(Part(message, decoded.trace))
        for bad in decoded.bad:
            kind, header = _HEADERS[bad.kind]
            letters.append(DeadLetter(message, header + bad.body, bad.error, kind))
    return Batch(tuple(parts), tuple(unlinked), tuple(letters))
