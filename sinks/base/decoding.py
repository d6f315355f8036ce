"""Decodes messages to a batch; each message or record that does not decode becomes a dead letter.

A record that lies twice in a part, because its sender repeated a request, is taken once.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeVar

from pipeline.model import splice
from pipeline.model.problems import ALERT, PROBLEM
from sinks.base.contract import (
    Batch,
    Kind,
    OutgoingDeadLetter,
    Part,
    ProblemState,
    RaisedAlert,
    SourceMessage,
    UnlinkedLog,
)
from tracelink.errors import InvalidRecord
from tracelink.kafka.topics import TopicNames
from tracelink.model.codec import LOG_RECORD, SPAN
from tracelink.model.records import LogRecord, Span, Trace

R = TypeVar("R", Span, LogRecord)

_HEADERS: dict[str, tuple[Kind, bytes]] = {"span": ("span", SPAN.header), "log": ("log", LOG_RECORD.header)}


def record_kinds(names: TopicNames) -> Mapping[str, Kind]:
    """Return the kind of record by topic, for topics with one record a message; all others hold parts of traces."""
    return {names.unlinked_logs: "log", names.problems: "problem", names.alerts: "alert"}


def decode(messages: Iterable[SourceMessage], kinds: Mapping[str, Kind], *, logs: bool = True) -> Batch:
    """Decode messages; `kinds` comes from `record_kinds`.

    Without `logs` the log lines of parts are left out, also invalid ones. Tombstones of problems are skipped.
    """
    parts: list[Part] = []
    unlinked: list[UnlinkedLog] = []
    problems: list[ProblemState] = []
    alerts: list[RaisedAlert] = []
    letters: list[OutgoingDeadLetter] = []
    for message in messages:
        try:
            kind = kinds.get(message.origin.topic)
            if kind is None:
                decoded = splice.decode(message.value, logs=logs)
                parts.append(_part(message, decoded.trace))
                for bad in decoded.bad:
                    of, header = _HEADERS[bad.kind]
                    letters.append(OutgoingDeadLetter(message, header + bad.body, bad.error, of))
            elif kind == "log":
                unlinked.append(UnlinkedLog(message, LOG_RECORD.decode(message.value)))
            elif kind == "alert":
                alerts.append(RaisedAlert(message, ALERT.decode(message.value)))
            elif message.value:
                problems.append(ProblemState(message, PROBLEM.decode(message.value)))
        except InvalidRecord as error:
            letters.append(OutgoingDeadLetter(message, message.value, error))
    return Batch(tuple(parts), tuple(unlinked), tuple(problems), tuple(alerts), tuple(letters))


def _part(message: SourceMessage, trace: Trace) -> Part:
    spans, logs = trace["spans"], trace["logs"]
    trace["spans"], trace["logs"] = _once(spans), _once(logs)
    repeats = Counter[Kind]({"span": len(spans) - len(trace["spans"]), "log": len(logs) - len(trace["logs"])})
    return Part(message, trace, +repeats)


def _once(records: list[R]) -> list[R]:
    """Return the records without those that equal an earlier one in everything."""
    if len({(record["id"], record.get("kind")) for record in records}) == len(records):
        return records
    return list({repr(record): record for record in records}.values())
