"""Log records of requests of OTLP from what protobuf or JSON says, by one mapping."""

from itertools import count
from typing import NamedTuple

from pipeline.formats import span_values as values
from pipeline.formats.otlp_common import Common
from pipeline.formats.otlp_fields import is_nano
from pipeline.formats.span_values import Spare
from tracelink.model.otel_mapping import MICRO, LogContent, log_record
from tracelink.model.records import ErrorRule, LogRecord


class Said(NamedTuple):
    """What a request says of a log record.

    `trace_id` is `NO_TRACE` for a line outside of a trace. The times are as they came, in nanoseconds or nearly right.
    `spare` are the texts of ids that are none.
    """

    content: LogContent
    trace_id: bytes
    span_id: str | None
    time: object
    observed: object
    spare: Spare


class LogMaker:
    """Makes the log records of one request.

    `request` is a digest of it: an id is made of that and the record's number, so that a repeated request repeats its
    ids. `received` is the time of a record that has none, in microseconds. `rule` decides which are errored.
    """

    def __init__(self, rule: ErrorRule, request: str, received: int) -> None:
        self._rule = rule
        self._request = request
        self._received = received
        self._numbers = count()

    def next_id(self) -> str:
        """Return the id of the next record; call it for a refused one, too."""
        return f"{self._request}-{next(self._numbers)}"

    def record(self, said: Said, common: Common, record_id: str) -> LogRecord:
        """Return a record; a value that has no meaning becomes the field `field.NAME`, as in spans."""
        timestamp = _micros(said.time, "timeUnixNano", said.spare) or _micros(
            said.observed, "observedTimeUnixNano", said.spare
        )
        record = log_record(
            said.content,
            common.tags,
            self._rule,
            record_id=record_id,
            trace_id=said.trace_id,
            span_id=said.span_id,
            timestamp=timestamp or self._received,
            service=common.service,
            logger=common.scope,
        )
        for name, kept in said.spare.items():
            values.keep(record["fields"], f"field.{name}", kept)
        return record


def _micros(found: object, name: str, spare: Spare) -> int | None:
    return found // MICRO if is_nano(found) else values.time(found, name, spare)
