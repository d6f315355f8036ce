"""The counts of verified messages, by partition and hour. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import NamedTuple

HOUR_MS = 3_600_000


class Position(NamedTuple):
    """The topic, partition and offset of a message."""

    topic: str
    partition: int
    offset: int


@dataclass(slots=True)
class Counts:
    """Counts of a message, of a row, or in total: the join's output, and its state in the stores."""

    parts: int = 0
    spans: int = 0
    lines: int = 0
    missing_parts: int = 0
    """Parts whose document Elasticsearch lacks."""
    missing_lines: int = 0
    """Log lines whose document Elasticsearch lacks."""
    missing_spans: int = 0
    """Spans that Zipkin lacks."""
    dead_letters: int = 0
    """Messages and records that do not decode, or that a store refuses."""
    not_kept: int = 0
    """Spans and lines that tail sampling leaves out."""
    pending: int = 0
    """Parts, and lines without a trace, that a sink has not committed yet."""

    def add(self, other: "Counts") -> None:
        """Add other counts to these."""
        for one in fields(Counts):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    @property
    def in_elasticsearch(self) -> int:
        """Number of documents that Elasticsearch lacks."""
        return self.missing_parts + self.missing_lines

    @property
    def missing(self) -> int:
        """Total number of missing documents and spans."""
        return self.in_elasticsearch + self.missing_spans

    @property
    def wrong(self) -> bool:
        """True if anything is missing or dead-lettered."""
        return bool(self.missing or self.dead_letters)


@dataclass(slots=True)
class Judged:
    """A message and its counts; times are stream times in milliseconds."""

    position: Position
    opened: int
    closed: int
    trace_id: bytes | None
    """None for a line without a trace, and for a message that does not decode."""
    counts: Counts = field(default_factory=Counts)


@dataclass(frozen=True, slots=True)
class Row:
    """The counts of one hour of a partition."""

    topic: str
    partition: int
    hour: int
    """Start of the hour, in milliseconds since the epoch."""
    counts: Counts


class Tally:
    """Counts by partition and hour, and in total."""

    def __init__(self) -> None:
        self.totals = Counts()
        self._rows: dict[tuple[str, int, int], Counts] = {}

    def add(self, judged: Judged) -> None:
        """Count a message in the hour in which it was opened."""
        hour = judged.opened // HOUR_MS * HOUR_MS
        self._rows.setdefault((judged.position.topic, judged.position.partition, hour), Counts()).add(judged.counts)
        self.totals.add(judged.counts)

    def rows(self) -> Iterator[Row]:
        """Yield the rows in the order of topics, partitions and hours."""
        for (topic, partition, hour), counts in sorted(self._rows.items(), key=lambda one: one[0]):
            yield Row(topic, partition, hour, counts)
