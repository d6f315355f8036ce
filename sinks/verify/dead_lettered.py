"""The records that the sinks have dead-lettered, from the topic of dead letters."""

from collections.abc import Iterator

from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AdminClient

from pipeline.kafka.offsets import OffsetLookup
from pipeline.kafka.reader import Reader
from pipeline.model.dead_letters import DeadLetterHeaders
from sinks.verify.tally import Position
from tracelink.errors import InvalidRecord
from tracelink.kafka.topics import TopicNames
from tracelink.model.codec import LOG_RECORD, SPAN
from tracelink.settings import KafkaSettings

# Clocks of workers and brokers differ: a dead letter may seem older than its message.
_SKEW_MS = 60_000

SpanKey = tuple[str, str | None]
"""A span's id as Zipkin writes it, and its kind: a client and its server may share the id."""


def span_key(span_id: str, kind: str | None) -> SpanKey:
    """Return the identity of a span within its trace."""
    return span_id.zfill(16), kind or None


class DeadLettered:
    """The dead letters of the sinks from certain topics."""

    def __init__(self, topics: frozenset[str]) -> None:
        self._topics = topics
        self._known: set[tuple[str, Position, str | SpanKey | None]] = set()

    def has(self, sink: str, position: Position, record: str | SpanKey | None = None) -> bool:
        """Return True if a sink dead-lettered a whole message, or one record of it: a line's id, or a span's key."""
        return (sink, position, record) in self._known

    def take(self, letter: KafkaMessage) -> None:
        """Add a dead letter; those of other processes or topics are ignored."""
        found = DeadLetterHeaders.of(letter)
        if found.sink is None or found.partition is None or found.offset is None or found.topic not in self._topics:
            return
        try:
            record = _record(found.kind, letter.value() or b"")
        except InvalidRecord:
            return  # a record that does not decode is found in its part, too
        self._known.add((found.sink, Position(found.topic, found.partition, found.offset), record))


def _record(kind: str | None, payload: bytes) -> str | SpanKey | None:
    if kind == "log":
        return LOG_RECORD.decode(payload)["id"]
    if kind == "span":
        span = SPAN.decode(payload)
        return span_key(span["id"], span.get("kind"))
    return None


def read_dead_letters(
    settings: KafkaSettings, admin: AdminClient, names: TopicNames, begin: int, dead_lettered: DeadLettered
) -> Iterator[None]:
    """Add all dead letters since `begin` (milliseconds); yields after each read. Raises UserError."""
    lookup = OffsetLookup(admin)
    ranges = lookup.since(lookup.partitions(names.dead_letters), begin - _SKEW_MS)
    with Reader(settings, f"{names.prefix}verify", ranges) as reader:
        while reader.unread:
            for _, letters in reader.poll():
                for letter in letters:
                    dead_lettered.take(letter)
            yield
