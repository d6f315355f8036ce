"""The contract of a sink: it writes batches to a target, and reports an outcome for each part and record."""

from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol

from pipeline.model.dead_letters import Headers, Origin, headers
from pipeline.model.problems import Alert, Problem
from tracelink.errors import InvalidRecord, UserError
from tracelink.kafka.topics import PartitionId
from tracelink.model.codec import LOG_RECORD, SPAN
from tracelink.model.records import LogRecord, Span, Trace

Kind = Literal["span", "log", "problem", "alert"]


class Outcome(StrEnum):
    """The outcome of a part or a record; also the label of its metric."""

    WRITTEN = "written"
    DUPLICATE = "duplicate"
    """The target already had it: from an earlier attempt, under the same id from elsewhere, or from the same part."""
    DEAD_LETTER = "dead_letter"
    NOT_KEPT = "not_kept"
    """Tail sampling left it out, or it has nothing for this target."""
    RELEASED = "released"
    """Its partition was revoked, or the process stopped, before it was written; the next owner reads it again."""


class Refused(UserError):
    """The target refuses all requests, and a retry will not help: wrong credentials, permissions or address.

    Ends the process.
    """


@dataclass(frozen=True, slots=True)
class SourceMessage:
    """A message as it was read from Kafka."""

    origin: Origin
    key: bytes | None
    value: bytes
    carried: Sequence[tuple[str, bytes]] = ()
    """Headers to copy to its dead letters."""

    @property
    def partition(self) -> PartitionId:
        """Topic and partition that it was read from."""
        return self.origin.topic, self.origin.partition


@dataclass(frozen=True, slots=True)
class Part:
    """A decoded part of a trace, without its invalid records and repeats."""

    message: SourceMessage
    trace: Trace
    repeats: Mapping[Kind, int] = field(default_factory=dict)
    """How many records of each kind were left out because they equal an earlier one of the part."""


@dataclass(frozen=True, slots=True)
class UnlinkedLog:
    """A log record without a trace."""

    message: SourceMessage
    record: LogRecord


@dataclass(frozen=True, slots=True)
class ProblemState:
    """A state of a problem."""

    message: SourceMessage
    problem: Problem


@dataclass(frozen=True, slots=True)
class RaisedAlert:
    """An alert."""

    message: SourceMessage
    alert: Alert


@dataclass(frozen=True, slots=True)
class OutgoingDeadLetter:
    """Data that no retry can write: a whole message, or one record cut out of it, with its Avro header."""

    message: SourceMessage
    payload: bytes
    error: InvalidRecord
    kind: Kind | None = None

    def headers(self, sink: str, redact: Callable[[str], str]) -> Headers:
        """Return its headers. `redact` removes secrets from the detail, which may quote the record."""
        error = InvalidRecord(self.error.reason, redact(self.error.detail))
        return [*headers(error, self.message.origin, sink=sink, kind=self.kind), *self.message.carried]


@dataclass(frozen=True, slots=True)
class Batch:
    """Parts and records that are written, retried and committed together."""

    parts: tuple[Part, ...] = ()
    unlinked: tuple[UnlinkedLog, ...] = ()
    problems: tuple[ProblemState, ...] = ()
    alerts: tuple[RaisedAlert, ...] = ()
    dead_letters: tuple[OutgoingDeadLetter, ...] = ()
    """Messages and records that did not decode. The runner sends them; a sink ignores them."""

    def __bool__(self) -> bool:
        return bool(self.parts or self.unlinked or self.problems or self.alerts or self.dead_letters)

    def without(self, partitions: Container[PartitionId]) -> "Batch":
        """Return the batch without the messages of these partitions."""
        return Batch(
            tuple(part for part in self.parts if part.message.partition not in partitions),
            tuple(log for log in self.unlinked if log.message.partition not in partitions),
            tuple(state for state in self.problems if state.message.partition not in partitions),
            tuple(alert for alert in self.alerts if alert.message.partition not in partitions),
            tuple(letter for letter in self.dead_letters if letter.message.partition not in partitions),
        )


@dataclass(slots=True)
class Report:
    """The outcomes of a batch."""

    parts: list[Outcome]
    """One outcome for each part, in the batch's order."""
    records: Counter[tuple[Kind, Outcome]] = field(default_factory=Counter)
    """Numbers of spans, log lines, problems and alerts; only of kinds that this target takes."""
    dead_letters: list[OutgoingDeadLetter] = field(default_factory=list)

    def count(self, kind: Kind, outcome: Outcome, number: int = 1) -> None:
        """Count records of a kind."""
        self.records[kind, outcome] += number

    def refuse_span(self, message: SourceMessage, span: Span, error: InvalidRecord) -> None:
        """Dead-letter one span, cut out of its message."""
        self.dead_letters.append(OutgoingDeadLetter(message, SPAN.encode(span), error, "span"))
        self.count("span", Outcome.DEAD_LETTER)

    def refuse_log(self, message: SourceMessage, record: LogRecord, error: InvalidRecord) -> None:
        """Dead-letter one log line, cut out of its message."""
        self.dead_letters.append(OutgoingDeadLetter(message, LOG_RECORD.encode(record), error, "log"))
        self.count("log", Outcome.DEAD_LETTER)

    def refuse_message(self, message: SourceMessage, kind: Kind, error: InvalidRecord) -> None:
        """Dead-letter a message that holds one record, unchanged."""
        self.dead_letters.append(OutgoingDeadLetter(message, message.value, error))
        self.count(kind, Outcome.DEAD_LETTER)

    def refuse_part(self, index: int, part: Part, error: InvalidRecord) -> None:
        """Dead-letter a whole part, unchanged."""
        self.dead_letters.append(OutgoingDeadLetter(part.message, part.message.value, error))
        self.parts[index] = Outcome.DEAD_LETTER
        self.count("span", Outcome.DEAD_LETTER, len(part.trace["spans"]))


class Sink(Protocol):
    """Writes joined traces, unlinked logs, problems or alerts to a target."""

    takes_logs: bool
    """True if it needs the log lines of parts. If false, they are neither decoded nor dead-lettered."""

    def write(self, batch: Batch) -> Report:
        """Write a batch; return when the target has answered for all of it.

        Blocks until then, each request at most for the request timeout. It is called from one thread at a time.
        Raises Unavailable if the target is down or overloaded. Part of the batch may have been written by then, so
        writing the same batch again must not duplicate anything in the target. Raises Refused if a retry will not
        help. The caller commits the offsets and sends the dead letters.
        """

    def check(self) -> None:
        """Return if writes are likely to succeed; raise Unavailable or Refused otherwise.

        Blocks for one request at most. It is called at start, and periodically while there is nothing to write.
        """

    def close(self) -> None:
        """Close the connections; may be called again."""
