"""The topics and their required settings, on which the delivery guarantees depend."""

from dataclasses import dataclass, field

from pipeline.settings import JoinTopicSettings, names_of
from tracelink.settings import KafkaSettings

TRACE_OVERHEAD_BYTES = 64 * 1024
"""Space for the fields of a trace before its records."""
PROBLEM_BYTES = 512 * 1024
"""Upper limit of the size of a problem or an alert: texts in them are truncated."""
RECORD_OVERHEAD_BYTES = 1024
"""Space for Kafka's own fields of a record, which count towards the broker's limit."""

COMPACTED = {"cleanup.policy": "compact"}
# A segment is compacted only after it is closed, and a worker that gets a partition reads all of it.
SHORT_SEGMENTS = {"segment.ms": "600000", "segment.bytes": "67108864", "min.cleanable.dirty.ratio": "0.1"}


@dataclass(frozen=True, slots=True)
class Spec:
    """The requirements of one topic."""

    name: str
    inputs: bool = False
    """True for co-partitioned topics: inputs, journal, errors and problems have equally many partitions.

    So one worker has all records of a trace, or all occurrences of a problem.
    """
    required: dict[str, str] = field(default_factory=dict)
    """Required settings: the topic must have this value."""
    at_least: dict[str, int] = field(default_factory=dict)
    """Required settings: the topic must have at least this value (-1 means unlimited)."""
    joined: bool = False
    """True if it can be rebuilt from the inputs; its retention is `joined_retention`."""
    created: dict[str, str] = field(default_factory=dict)
    """Settings at creation, which the operator may change later."""


def durable(replication: int) -> dict[str, int]:
    """Return the settings with which topics of so many replicas lose nothing if one broker fails."""
    return {"min.insync.replicas": 2} if replication > 1 else {}


def specs(settings: KafkaSettings) -> list[Spec]:
    """Return the topics of these settings with their requirements.

    Only `JoinTopicSettings` have the journal's name and the sizes of records and traces: for other settings the journal
    is left out, and only the size of problems is required.
    """
    names = names_of(settings)
    record: dict[str, int] = {}
    trace: dict[str, int] = {}
    journal: list[str] = []
    if isinstance(settings, JoinTopicSettings):
        record = {"max.message.bytes": settings.max_record_bytes + RECORD_OVERHEAD_BYTES}
        # The largest trace: the limit, one record beyond it, and the fields before the records.
        trace = {"max.message.bytes": settings.max_trace_bytes + settings.max_record_bytes + TRACE_OVERHEAD_BYTES}
        journal = [names.journal(settings.join_group)]
    problem = {"max.message.bytes": PROBLEM_BYTES}
    kept = {"cleanup.policy": "delete"}
    # The broker's clock orders the inputs, so that a service's skewed clock cannot move the windows.
    arrival = {**kept, "message.timestamp.type": "LogAppendTime"}
    if names.job is not None:
        # Copies keep their original times, however old, and no record is deleted before the job is.
        copied = {**kept, "message.timestamp.type": "CreateTime", "retention.ms": "-1", "retention.bytes": "-1"}
        return [
            Spec(names.spans, inputs=True, required=copied, at_least=record),
            Spec(names.logs, inputs=True, required=copied, at_least=record),
            Spec(names.unlinked_logs, required=copied, at_least=record),
            Spec(names.traces, inputs=True, required=copied, at_least=trace),
            Spec(names.error_traces, required=copied, at_least=trace),
            Spec(names.dead_letters, required=copied, at_least=trace),
            *(Spec(name, inputs=True, required=copied, at_least=trace) for name in journal),
        ]
    return [
        Spec(names.spans, inputs=True, required=arrival, at_least=record),
        Spec(names.logs, inputs=True, required=arrival, at_least=record),
        Spec(names.unlinked_logs, required=kept, at_least=record),
        Spec(names.traces, joined=True, required=kept, at_least=trace),
        Spec(names.error_traces, joined=True, required=kept, at_least=trace),
        # The broker's clock gives the time at which a problem was last seen, even while a worker catches up.
        Spec(names.errors, inputs=True, required=arrival, at_least=problem),
        # Late readers need only the newest state.
        Spec(
            names.problems,
            inputs=True,
            required=COMPACTED,
            at_least=problem,
            created=SHORT_SEGMENTS,
        ),
        Spec(names.alerts, required=kept, at_least=problem),
        Spec(names.dead_letters, required=kept, at_least=trace),
        *(Spec(name, inputs=True, required=kept, at_least=trace) for name in journal),
        # The broker's clock gives the time up to which a replay has all records.
        Spec(
            names.jobs,
            required={**COMPACTED, "message.timestamp.type": "LogAppendTime"},
            at_least=trace,
            created=SHORT_SEGMENTS,
        ),
        Spec(names.resolutions, required=COMPACTED, created=SHORT_SEGMENTS),
        Spec(names.trends, required=COMPACTED, created=SHORT_SEGMENTS),
    ]
