"""What the promises ask of each topic."""

from dataclasses import dataclass, field

from pipeline.settings import JoinTopicSettings, names_of
from tracelink.settings import KafkaSettings

TRACE_OVERHEAD_BYTES = 64 * 1024
"""Room for a trace's head beside the records."""
PROBLEM_BYTES = 512 * 1024
"""More than any problem or alert takes: what they hold of a trace is cut."""
RECORD_OVERHEAD_BYTES = 1024
"""Room for what Kafka puts around a record: the broker's limit counts it, too."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What one topic must be."""

    name: str
    inputs: bool = False
    """Partitions of the inputs and of the journal are equally many, so that one worker has a trace's all.

    So are those of errors and problems, for a problem's all.
    """
    required: dict[str, str] = field(default_factory=dict)
    """Settings that a promise rests on: the live value must be equal."""
    at_least: dict[str, int] = field(default_factory=dict)
    """Settings that a promise rests on: the live value must be at least this (-1 is no bound)."""
    joined: bool = False
    """Whether it can be made again from the inputs, and is kept for `joined_retention`."""
    created: dict[str, str] = field(default_factory=dict)
    """Settings that it is created with, and that stay yours afterwards."""


def durable(replication: int) -> dict[str, int]:
    """Return what every topic of so many replicas must have at least, so that a broker's end loses nothing."""
    return {"min.insync.replicas": 2} if replication > 1 else {}


def specs(settings: KafkaSettings) -> list[Spec]:
    """List the topics under these settings and what the promises ask of each.

    The journal's name and the sizes of records and traces are known to `JoinTopicSettings` alone: under others the
    journal is left out, and no size is asked for but that of problems.
    """
    names = names_of(settings)
    record: dict[str, int] = {}
    trace: dict[str, int] = {}
    journal: list[str] = []
    if isinstance(settings, JoinTopicSettings):
        record = {"max.message.bytes": settings.max_record_bytes + RECORD_OVERHEAD_BYTES}
        # The largest trace: its cap, one record beyond it, and the openings.
        trace = {"max.message.bytes": settings.max_trace_bytes + settings.max_record_bytes + TRACE_OVERHEAD_BYTES}
        journal = [names.journal(settings.join_group)]
    problem = {"max.message.bytes": PROBLEM_BYTES}
    kept = {"cleanup.policy": "delete"}
    # The broker's clock orders the inputs: no service's skewed clock can push the windows.
    arrival = {**kept, "message.timestamp.type": "LogAppendTime"}
    if names.job is not None:
        # The records' own times, however long ago: and nothing is forgotten before the job is deleted.
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
    compacted = {"cleanup.policy": "compact"}
    soon = {"segment.ms": "600000", "segment.bytes": "67108864", "min.cleanable.dirty.ratio": "0.1"}
    return [
        Spec(names.spans, inputs=True, required=arrival, at_least=record),
        Spec(names.logs, inputs=True, required=arrival, at_least=record),
        Spec(names.unlinked_logs, required=kept, at_least=record),
        Spec(names.traces, joined=True, required=kept, at_least=trace),
        Spec(names.error_traces, joined=True, required=kept, at_least=trace),
        # The broker's clock tells when a problem was seen last, whatever was caught up with in between.
        Spec(names.errors, inputs=True, required=arrival, at_least=problem),
        # One that is compacted away has a newer one; those who read it late want that. A segment is compacted only once
        # it is closed, and whoever gets a partition reads all there is.
        Spec(
            names.problems,
            inputs=True,
            required=compacted,
            at_least=problem,
            created=soon,
        ),
        Spec(names.alerts, required=kept, at_least=problem),
        Spec(names.dead_letters, required=kept, at_least=trace),
        *(Spec(name, inputs=True, required=kept, at_least=trace) for name in journal),
        # The broker's clock tells up to when a replay has all there was.
        Spec(
            names.jobs,
            required={**compacted, "message.timestamp.type": "LogAppendTime"},
            at_least=trace,
            created=soon,
        ),
        Spec(names.resolutions, required=compacted, created=soon),
    ]
