"""Errored traces: reads the topic `error-traces`, and describes each trace in a few lines."""

from dataclasses import dataclass
from typing import Self

from pipeline.analysis.root_cause import RootCauseSpan, root_cause_span
from pipeline.kafka.admin import connect
from pipeline.kafka.offsets import OffsetLookup
from pipeline.kafka.reader import Reader
from pipeline.model.splice import decode
from tracelink.errors import InvalidRecord, UserError
from tracelink.kafka.topics import TopicNames
from tracelink.model.records import Trace, print_trace_id
from tracelink.settings import KafkaSettings


@dataclass(frozen=True, slots=True)
class ErroredTrace:
    """An errored trace, and its root cause span."""

    trace_id: str
    origin: RootCauseSpan

    @classmethod
    def of(cls, trace: Trace) -> "ErroredTrace":
        """Find the root cause span in a part of a trace."""
        origin = root_cause_span(trace) or RootCauseSpan(None, None, None)
        return cls(print_trace_id(trace["traceId"], trace["flags"]), origin)


@dataclass(frozen=True, slots=True)
class TraceLinks:
    """The addresses of the page and of Zipkin, which show a trace, without a slash at the end."""

    page: str
    zipkin: str


def lines(errored: ErroredTrace, links: TraceLinks) -> list[str]:
    """Return the error of a trace, then its links, a line each."""
    origin = errored.origin
    what = ": ".join(part for part in (origin.type, origin.message) if part) or "errored, without a message"
    return [
        " ".join(part for part in (origin.service or "unknown service", origin.operation) if part) + f": {what}",
        f"page    {links.page}/traces/{errored.trace_id}",
        f"Zipkin  {links.zipkin}/zipkin/traces/{errored.trace_id}",
    ]


class ErroredTraces:
    """Reads the topic `error-traces` from its current end on; a context manager that closes the reader.

    Its methods raise UserError if the topic cannot be read.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._lookup = OffsetLookup(connect(settings))
        self._partitions = self._lookup.partitions(TopicNames(settings.topic_prefix).error_traces)
        self._reader = Reader(settings, "tracelink-demo", {}, live=self._lookup.ends(self._partitions))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    def poll(self) -> list[ErroredTrace]:
        """Return the traces that came since the last call, without waiting."""
        return [_read(one.value() or b"") for _, messages in self._reader.poll(0) for one in messages]

    def is_read(self) -> bool:
        """Return True if all current messages of the topic have been polled."""
        return all(self._reader.positions[one] >= end for one, end in self._lookup.ends(self._partitions).items())


def _read(value: bytes) -> ErroredTrace:
    try:
        return ErroredTrace.of(decode(value).trace)
    except InvalidRecord as invalid:
        raise UserError(f"A message in the topic error-traces is not a trace: {invalid}.") from None
