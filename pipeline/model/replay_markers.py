"""What a replay's copier, join and sinks agree on: where a copied record came from, and where its topic ends.

A job's topics have the live ones' partitions: a record lies on the partition that it was copied from, at the time that
it had there. Behind the last one of each partition lies an end marker, for a topic that nobody appends to looks like
one that more is on its way to.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from confluent_kafka import Message

ORIGIN = "tracelink.offset"
"""Header of a copied record: the offset that it had in the live topic, as text.

Spelled like `dead_letters.OFFSET`: a dead letter is no copied record, and has the offset of what it was found in.
"""
END = "tracelink.end"
"""Header of an end marker, which has neither key nor value: the stream time up to which nothing is missing, as text.

A trace may have gone on in the live topic after what was copied: what is still open at that time is not whole.
"""
FOR_EVER = 1 << 62


def end_headers(complete_until: int = FOR_EVER) -> list[tuple[str, bytes]]:
    """Return the headers of an end marker."""
    return [(END, b"%d" % complete_until)]


def is_end(message: "Message") -> bool:
    """Tell whether a message of a job's topic is an end marker."""
    if message.value() is not None or message.key() is not None:
        return False
    return any(header[0] == END for header in message.headers() or ())


def complete_until(marker: "Message") -> int:
    """Return the stream time up to which nothing is missing before an end marker."""
    return next(int(header[1] or 0) for header in marker.headers() or () if header[0] == END)


def origin_of(message: "Message") -> int:
    """Return the offset that a copied record had in the live topic; its own where it was not copied."""
    for header in message.headers() or ():
        if header[0] == ORIGIN and header[1] is not None:
            return int(header[1])
    return message.offset() or 0
