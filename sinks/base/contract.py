"""What a sink is: it writes batches to a target, and says of each part and record what became of it."""

from collections import Counter
from collections.abc import Callable, Container, Sequence
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
    """What became of a part or a record: the label of its metric."""

    WRITTEN = "written"
    DUPLICATE = "duplicate"
    """The target had it: from a batch that was repeated, or under the same id from elsewhere."""
    DEAD_LETTER = "dead_letter"
    NOT_KEPT = "not_kept"
    """The keep policy left it out, or it holds nothing for this target."""
    RELEASED = "released"
    """Its partition left, or the process stopped, before it was written: the next owner reads it again."""


class Refused(UserError):
    """The target refuses everything and will go on doing so: credentials, permissions, address. Ends the process."""


@dataclass(frozen=True, slots=True)
class SourceMessage:
    """A message as it was read."""

    origin: Origin
    key: bytes | None
    value: bytes
    carried: Sequence[tuple[str, bytes]] = ()
    """Headers that its dead letters must have, too."""

    @property
    def partition(self) -> PartitionId:
        """Where it was read."""
        return self.origin.topic, self.origin.partition


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a trace, decoded, without its bad records."""

    message: SourceMessage
    trace: Trace


@dataclass(frozen=True, slots=True)
class UnlinkedLog:
    """A log record that belongs to no trace."""

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
    """What no repeat can write: a whole message, or one record cut out of it and framed."""

    message: SourceMessage
    payload: bytes
    error: InvalidRecord
    kind: Kind | None = None

    def headers(self, sink: str, redact: Callable[[str], str]) -> Headers:
        """Return its headers; `redact` takes secrets out of the detail, which may quote the record."""
        error = InvalidRecord(self.error.reason, redact(self.error.detail))
        return [*headers(error, self.message.origin, sink=sink, kind=self.kind), *self.message.carried]


@dataclass(frozen=True, slots=True)
class Batch:
    """What is written, retried and committed together."""

    parts: tuple[Part, ...] = ()
    unlinked: tuple[UnlinkedLog, ...] = ()
    problems: tuple[ProblemState, ...] = ()
    alerts: tuple[RaisedAlert, ...] = ()
    dead_letters: tuple[OutgoingDeadLetter, ...] = ()
    """What did not decode; the sink has no business with these."""

    def __bool__(self) -> bool:
        return bool(self.parts or self.unlinked or self.problems or self.alerts or self.dead_letters)

    def without(self, partitions: Container[PartitionId]) -> "Batch":
        """Return the batch without what was read from these partitions."""
        return Batch(
            tuple(part for part in self.parts if part.message.partition not in partitions),
            tuple(log for log in self.unlinked if log.message.partition not in partitions),
            tuple(state for state in self.problems if state.message.partition not in partitions),
            tuple(alert for alert in self.alerts if alert.message.partition not in partitions),
            tuple(letter for letter in self.dead_letters if letter.message.partition not in partitions),
        )


@dataclass(slots=True)
class Report:
    """What became of a batch."""

    parts: list[Outcome]
    """One outcome for each part, in the batch's order."""
    records: Counter[tuple[Kind, Outcome]] = field(default_factory=Counter)
    """How many of its spans, log lines, problems and alerts, as far as this target takes such records."""
    dead_letters: list[OutgoingDeadLetter] = field(default_factory=list)

    def count(self, kind: Kind, outcome: Outcome, number: int = 1) -> None:
        """Count records of a kind."""
        self.records[kind, outcome] += number

    def refuse_span(self, message: SourceMessage, span: Span, error: InvalidRecord) -> None:
        """Cut one span out of its message."""
        self.dead_letters.append(OutgoingDeadLetter(message, SPAN.encode(span), error, "span"))
        self.count("span", Outcome.DEAD_LETTER)

    def refuse_log(self, message: SourceMessage, record: LogRecord, error: InvalidRecord) -> None:
        """Cut one log line out of its message."""
        self.dead_letters.append(OutgoingDeadLetter(message, LOG_RECORD.encode(record), error, "log"))
        self.count("log", Outcome.DEAD_LETTER)

    def refuse_message(self, message: SourceMessage, kind: Kind, error: InvalidRecord) -> None:
        """Give up a message that holds one record; its payload stays untouched."""
        self.dead_letters.append(OutgoingDeadLetter(message, message.value, error))
        self.count(kind, Outcome.DEAD_LETTER)

    def refuse_part(self, index: int, part: Part, error: InvalidRecord) -> None:
        """Give up a part as a whole; its payload stays untouched."""
        self.dead_letters.append(OutgoingDeadLetter(part.message, part.message.value, error))
        self.parts[index] = Outcome.DEAD_LETTER
        self.count("span", Outcome.DEAD_LETTER, len(part.trace["spans"]))


class Sink(Protocol):
    """A target of joined traces, or of what is made of them."""

    takes_logs: bool
    """Whether the parts it is given have their log lines; one that writes none leaves even the bad ones to others."""

    def write(self, batch: Batch) -> Report:
        """Write a batch; return when the target has answered for all of it.

        Blocks for as long as the target takes, each request at most the request timeout; called from one thread at a
        time. Raises Unavailable where the target is away or overloaded: part of the batch may have been written then,
        and the same batch may be written again without making anything in the target twice. Raises Refused where
        no repeat will help. Commits nothing and dead-letters nothing itself: both are its caller's.
        """

    def check(self) -> None:
        """Return where operations are likely to succeed; raises Unavailable or Refused.

        Blocks for a request at most. Called at start and now and then while there is nothing to write.
        """

    def close(self) -> None:
        """Let go of connections; may be called again."""
