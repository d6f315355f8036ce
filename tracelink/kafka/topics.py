"""The topics: their names, and what the promises ask of each."""

from dataclasses import dataclass


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
    def resolutions(self) -> str:
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


PartitionId = tuple[str, int]
"""Topic and number of a partition."""
