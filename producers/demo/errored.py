"""Errored traces as the join flags them: read from its topic, and said in words."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import quote

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
    """An errored trace, and where its error began."""

    trace_id: str
    origin: RootCauseSpan

    @classmethod
    def of(cls, trace: Trace) -> "ErroredTrace":
        """Look for the origin in a part of the trace."""
        origin = root_cause_span(trace) or RootCauseSpan(None, None, None)
        return cls(print_trace_id(trace["traceId"], trace["flags"]), origin)


@dataclass(frozen=True, slots=True)
class StoreLinks:
    """Where the page of a trace and its log lines are found."""

    zipkin: str
    elasticsearch: str
    index_prefix: str

    def page(self, trace_id: str) -> str:
        """Return the address of Zipkin's page of a trace."""
        return f"{self.zipkin.rstrip('/')}/zipkin/traces/{trace_id}"

    def kql(self, trace_id: str) -> str:
        """Return the query for a trace's log lines, as Kibana takes it."""
        return f'trace.id : "{trace_id}"'

    def curl(self, trace_id: str) -> str:
        """Return the shell command that shows a trace's log lines."""
        fields = "@timestamp,service.name,log.level,message,error.message"
        path = f"{self.index_prefix}logs-*/_search?q=trace.id:{trace_id}&sort=@timestamp&size=1000"
        return f"curl -s '{self.elasticsearch.rstrip('/')}/{path}&_source={quote(fields, safe='@,')}&pretty'"


def lines(errored: ErroredTrace, links: StoreLinks) -> list[str]:
    """Say what failed and where to look, the failure first."""
    origin = errored.origin
    what = ": ".join(part for part in (origin.type, origin.message) if part) or "errored, without a message"
    return [
        " ".join(part for part in (origin.service or "unknown service", origin.operation) if part) + f": {what}",
        f"trace   {links.page(errored.trace_id)}",
        f"Kibana  {links.kql(errored.trace_id)}",
        f"logs    {links.curl(errored.trace_id)}",
    ]


class ErroredTraces:
    """Reads the topic of errored traces from the moment it is opened; a context manager that closes it.

    Its methods raise UserError where the topic cannot be read.
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
        """Return what came since the last call, without waiting."""
        return [_read(one.value() or b"") for _, messages in self._reader.poll(0) for one in messages]

    def is_read(self) -> bool:
        """Tell whether all that the topic holds now has been polled."""
        return all(self._reader.positions[one] >= end for one, end in self._lookup.ends(self._partitions).items())


def _read(value: bytes) -> ErroredTrace:
    try:
        return ErroredTrace.of(decode(value).trace)
    except InvalidRecord as invalid:
        raise UserError(f"A message among the errored traces is no trace: {invalid}.") from None
