"""What is known of the messages that were looked at: counts for each partition and hour. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import NamedTuple

HOUR_MS = 3_600_000


class Position(NamedTuple):
    """Where a message lies."""

    topic: str
    partition: int
    offset: int


@dataclass(slots=True)
class Counts:
    """Counts of a row; what the join has put out, and what became of it."""

    parts: int = 0
    spans: int = 0
    lines: int = 0
    missing_parts: int = 0
    """Documents of parts that Elasticsearch has not."""
    missing_lines: int = 0
    """Documents of log lines that Elasticsearch has not."""
    missing_spans: int = 0
    """Spans that Zipkin has not."""
    dead_letters: int = 0
    """What no store can have: it does not decode, or it was refused."""
    not_kept: int = 0
    """Spans and lines that the keep policy leaves out."""
    pending: int = 0
    """Parts, and lines without a trace, that a sink has still to come to."""

    def add(self, other: "Counts") -> None:
        """Add what another counts."""
        for one in fields(Counts):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    @property
    def in_elasticsearch(self) -> int:
        """How many documents Elasticsearch lacks."""
        return self.missing_parts + self.missing_lines

    @property
    def missing(self) -> int:
        """How much is missing in all."""
        return self.in_elasticsearch + self.missing_spans

    @property
    def wrong(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self.missing or self.dead_letters)


@dataclass(slots=True)
class Judged:
    """A message and what became of it; times are stream times in milliseconds."""

    position: Position
    opened: int
    closed: int
    trace_id: bytes | None
    """None of a line without a trace, and of what does not decode."""
    counts: Counts = field(default_factory=Counts)


@dataclass(frozen=True, slots=True)
class Row:
    """A partition's hour."""

    topic: str
    partition: int
    hour: int
    """When it begins, in milliseconds since the epoch."""
    counts: Counts


class Tally:
    """Counts for each partition and hour, and in all."""

    def __init__(self) -> None:
        self.totals = Counts()
        self._rows: dict[tuple[str, int, int], Counts] = {}

    def add(self, judged: Judged) -> None:
        """Count a message under the hour in which it was opened."""
        hour = judged.opened // HOUR_MS * HOUR_MS
        self._rows.setdefault((judged.position.topic, judged.position.partition, hour), Counts()).add(judged.counts)
        self.totals.add(judged.counts)

    def rows(self) -> Iterator[Row]:
        """Yield the rows in the order of topics, partitions and hours."""
        for (topic, partition, hour), counts in sorted(self._rows.items(), key=lambda one: one[0]):
            yield Row(topic, partition, hour, counts)
