"""The headers of a replay job's messages: the origin of a copied record, and end markers.

A job's topics have as many partitions as the live ones: a copied record keeps its partition and its time. An end marker
follows the last record of each partition, because a reader cannot distinguish a finished topic from an idle one.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from confluent_kafka import Message

ORIGIN = "tracelink.offset"
"""Header of a copied record: its offset in the live topic, as text.

The same spelling as `dead_letters.OFFSET`: in a dead letter it is the offset of the message that it came from.
"""
END = "tracelink.end"
"""Header of an end marker (no key, no value): the stream time up to which the inputs were complete, as text.

A trace may continue in the live topic after the copied range: a part that is still open at that time is not complete.
"""
FOR_EVER = 1 << 62


def end_headers(complete_until: int = FOR_EVER) -> list[tuple[str, bytes]]:
    """Return the headers of an end marker."""
    return [(END, b"%d" % complete_until)]


def is_end(message: "Message") -> bool:
    """Return True if a message of a job's topic is an end marker."""
    if message.value() is not None or message.key() is not None:
        return False
    return any(header[0] == END for header in message.headers() or ())


def complete_until(marker: "Message") -> int:
    """Return the stream time of an end marker, up to which the inputs were complete."""
    return next(int(header[1] or 0) for header in marker.headers() or () if header[0] == END)


def origin_of(message: "Message") -> int:
    """Return a copied record's offset in the live topic, or the message's own offset if it is not a copy."""
    for header in message.headers() or ():
        if header[0] == ORIGIN and header[1] is not None:
            return int(header[1])
    return message.offset() or 0
