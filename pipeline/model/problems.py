"""Occurrences, problems (errored traces grouped by where their errors began) and alerts."""

from typing import Literal, TypedDict

from tracelink.model.codec import Codec, load_schema

Status = Literal["FIRING", "QUIET"]
Event = Literal["NEW", "BACK", "RATE", "RESOLVED"]


class Line(TypedDict):
    """A log line in an alert, redacted and truncated; `timestamp` is in microseconds since the epoch."""

    timestamp: int
    service: str | None
    level: str | None
    message: str


class RootCause(TypedDict):
    """The span where an error began, and the error; see the schema."""

    service: str | None
    operation: str | None
    exception: str | None
    message: str | None
    httpStatus: str | None
    grpcStatus: str | None
    peer: str | None
    """The called service, if the error began in a call whose other side is not in the trace."""
    logger: str | None
    tags: dict[str, str]


class Occurrence(RootCause):
    """An errored trace, reduced to where its error began; `time` in milliseconds, `duration` in microseconds."""

    fingerprint: str
    traceId: bytes
    flags: int
    time: int
    duration: int
    services: list[str]
    root: str | None
    lines: list[Line]


class Sample(TypedDict):
    """A trace in which a problem was seen; its id as Zipkin shows it."""

    traceId: str
    time: int
    duration: int


class Problem(RootCause):
    """The state of one fingerprint, from all its occurrences; times in milliseconds since the epoch; see the schema."""

    fingerprint: str
    version: int
    status: Status
    announced: bool
    known: bool
    muted: bool
    severity: str
    rule: str | None
    labels: dict[str, str]
    runbook: str | None
    services: list[str]
    root: str | None
    lines: list[Line]
    firstSeen: int
    lastSeen: int
    arrived: int
    firingSince: int
    count: int
    window: int
    inWindow: int
    inWindowBefore: int
    overThreshold: bool
    newest: list[Sample]
    slowest: Sample | None


class Alert(TypedDict):
    """A problem is new, has regressed, is over its threshold, or is resolved; a repeated record has the same id."""

    id: str
    event: Event
    time: int
    problem: Problem


OCCURRENCE: Codec[Occurrence] = Codec(load_schema("line", "occurrence"))
PROBLEM: Codec[Problem] = Codec(load_schema("line", "sample", "problem"))
ALERT: Codec[Alert] = Codec(load_schema("line", "sample", "problem", "alert"))
