"""The topics: their names, and what the promises ask of each."""

from dataclasses import dataclass, field

from tracelink.settings import (
    ElasticsearchSettings,
    JoinSettings,
    KafkaSettings,
    ReplayedSettings,
    SinkSettings,
    TopicSettings,
)

TRACE_OVERHEAD_BYTES = 64 * 1024
"""Room for a trace's head beside the records."""
PROBLEM_BYTES = 512 * 1024
"""More than any problem or alert takes: what they hold of a trace is cut."""
RECORD_OVERHEAD_BYTES = 1024
"""Room for what Kafka puts around a record: the broker's limit counts it, too."""


@dataclass(frozen=True, slots=True)
class TopicNames:
    """The topics' names under a prefix."""

    prefix: str = "tracelink."
    job: str | None = None
    """The replay job whose own topics these are."""

    def of_job(self, job: str) -> "TopicNames":
        """Return the names of the topics of a replay job."""
        return TopicNames(f"{self.prefix}replay.{job}.", job)

    def job_group(self, stage: str) -> str:
        """Name the group of a stage (`copy`, `join`, `sink-NAME`) of the replay job whose topics these are."""
        return f"{self.prefix}{stage}"

    @property
    def jobs(self) -> str:
        """The replay jobs, keyed by their names; compacted."""
        return f"{self.prefix}replays"

    @property
    def settled_letters(self) -> str:
        """Which dead letters were redriven or discarded, keyed by their places; compacted."""
        return f"{self.prefix}dead-letters.settled"

    @property
    def spans(self) -> str:
        """Input: spans, keyed by trace id."""
        return f"{self.prefix}spans"

    @property
    def logs(self) -> str:
        """Input: log records with a trace, keyed by trace id."""
        return f"{self.prefix}logs"

    @property
    def unlinked_logs(self) -> str:
        """Log records without a trace, for the Elasticsearch sink."""
        return f"{self.prefix}unlinked-logs"

    @property
    def traces(self) -> str:
        """Output of the join: every part of every trace."""
        return f"{self.prefix}traces"

    @property
    def error_traces(self) -> str:
        """Output of the join: for each errored trace the part with its first error, once."""
        return f"{self.prefix}error-traces"

    @property
    def errors(self) -> str:
        """Errored traces reduced to where their errors began, keyed by the fingerprint of the problem."""
        return f"{self.prefix}errors"

    @property
    def problems(self) -> str:
        """The state of each problem, keyed by its fingerprint; compacted."""
        return f"{self.prefix}problems"

    @property
    def alerts(self) -> str:
        """What is told of problems, keyed by their fingerprints."""
        return f"{self.prefix}alerts"

    @property
    def dead_letters(self) -> str:
        """Messages that are no record, with the reason in their headers."""
        return f"{self.prefix}dead-letters"

    def journal(self, group: str) -> str:
        """Name the journal of a join's group: which parts went out, one record a transaction and partition."""
        return f"{self.prefix}closed" if self.job else f"{self.prefix}closed.{group}"


def names_of(settings: KafkaSettings) -> TopicNames:
    """Return the names of the topics that a process under these settings works on: the live ones, or a replay job's."""
    names = TopicNames(settings.topic_prefix)
    job = settings.replay if isinstance(settings, ReplayedSettings) else None
    return names if job is None else names.of_job(job)


def join_group(settings: JoinSettings) -> str:
    """Return the join's consumer group: the one that is set, or the replay job's own."""
    names = names_of(settings)
    return names.job_group("join") if names.job else settings.join_group


def sink_group(settings: SinkSettings, name: str) -> str:
    """Return a sink's consumer group: the one that is set or the usual one, or the replay job's own."""
    names = names_of(settings)
    if names.job is None:
        return settings.sink_group or f"tracelink-sink-{name}"
    # What was written beside the live documents is not written over them yet.
    suffix = settings.index_suffix if isinstance(settings, ElasticsearchSettings) else ""
    return names.job_group(f"sink-{name}{suffix}")


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


def largest_message(settings: TopicSettings) -> int:
    """Return the bytes that the largest trace can take: its cap, one record beyond it, and the openings."""
    return settings.max_trace_bytes + settings.max_record_bytes + TRACE_OVERHEAD_BYTES


def specs(settings: TopicSettings) -> list[Spec]:
    """List the topics under these settings and what the promises ask of each."""
    names = names_of(settings)
    durable = {"min.insync.replicas": 2} if settings.replication > 1 else {}
    kept = {"cleanup.policy": "delete"}
    # The broker's clock orders the inputs: no service's skewed clock can push the windows.
    arrival = {**kept, "message.timestamp.type": "LogAppendTime"}
    record = {**durable, "max.message.bytes": settings.max_record_bytes + RECORD_OVERHEAD_BYTES}
    trace = {**durable, "max.message.bytes": largest_message(settings)}
    problem = {**durable, "max.message.bytes": PROBLEM_BYTES}
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
            Spec(names.journal(settings.join_group), inputs=True, required=copied, at_least=trace),
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
        Spec(names.journal(settings.join_group), inputs=True, required=kept, at_least=trace),
        # The broker's clock tells up to when a replay has all there was.
        Spec(
            names.jobs,
            required={**compacted, "message.timestamp.type": "LogAppendTime"},
            at_least=trace,
            created=soon,
        ),
        Spec(names.settled_letters, required=compacted, at_least=durable, created=soon),
    ]
