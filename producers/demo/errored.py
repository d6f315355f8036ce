"""Errored traces as the join flags them: read from its topic, and said in words."""

import logging
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from pipeline.analysis.error_origin import ErrorOrigin, error_origin
from pipeline.model.splice import decode
from tracelink.errors import InvalidRecord, UserError
from tracelink.kafka.client import client_log, outside_group
from tracelink.kafka.topics import TopicNames
from tracelink.model.records import Trace, print_trace_id
from tracelink.settings import KafkaSettings

_log = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 15.0
_MOST_MESSAGES = 100


@dataclass(frozen=True, slots=True)
class ErroredTrace:
    """An errored trace, and where its error began."""

    trace_id: str
    origin: ErrorOrigin

    @classmethod
    def of(cls, trace: Trace) -> "ErroredTrace":
        """Look for the origin in a part of the trace."""
        origin = error_origin(trace) or ErrorOrigin(None, None, None)
        return cls(print_trace_id(trace["traceId"], trace["flags"]), origin)


@dataclass(frozen=True, slots=True)
class Places:
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


def lines(errored: ErroredTrace, places: Places) -> list[str]:
    """Say what failed and where to look, the failure first."""
    origin = errored.origin
    what = ": ".join(part for part in (origin.type, origin.message) if part) or "errored, without a message"
    return [
        " ".join(part for part in (origin.service or "unknown service", origin.operation) if part) + f": {what}",
        f"trace   {places.page(errored.trace_id)}",
        f"Kibana  {places.kql(errored.trace_id)}",
        f"logs    {places.curl(errored.trace_id)}",
    ]


class ErroredTraces:
    """Reads the topic of errored traces from the moment it is opened; a context manager that closes it.

    Its methods raise UserError where the topic cannot be read.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._topic = TopicNames(settings.topic_prefix).error_traces
        properties: dict[str, Any] = dict(
            outside_group(settings, "tracelink-demo", promised={"enable.partition.eof": True})
        )
        self._consumer = Consumer(properties, logger=client_log(__name__))
        self._read_to: dict[int, int] = {}
        self._consumer.assign([TopicPartition(self._topic, number, end) for number, end in self._ends().items()])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def poll(self) -> list[ErroredTrace]:
        """Return what came since the last call, without waiting."""
        found = []
        for message in self._consumer.consume(_MOST_MESSAGES, 0):
            value, error = message.value(), message.error()
            if error is None and value is not None:
                found.append(_read(value))
            elif error is not None and error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its own name
                self._read_to[message.partition() or 0] = message.offset() or 0
            elif error is not None and not error.retriable():
                _log.warning("errored traces: %s", error.str())
        return found

    def is_read(self) -> bool:
        """Tell whether all that the topic holds now has been polled."""
        return all(self._read_to.get(number, -1) >= end for number, end in self._ends().items())

    def _ends(self) -> dict[int, int]:
        try:
            numbers = self._consumer.list_topics(self._topic, timeout=_TIMEOUT_SECONDS).topics[self._topic].partitions
            return {number: self._end(number) for number in numbers}
        except KafkaException as error:
            raise UserError(f"Cannot read {self._topic}: {error.args[0].str()}.") from None

    def _end(self, number: int) -> int:
        offsets = self._consumer.get_watermark_offsets(TopicPartition(self._topic, number), timeout=_TIMEOUT_SECONDS)
        return offsets[1] if offsets else 0


def _read(value: bytes) -> ErroredTrace:
    try:
        return ErroredTrace.of(decode(value).trace)
    except InvalidRecord as invalid:
        raise UserError(f"A message among the errored traces is no trace: {invalid}.") from None
