"""The names of the topics."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TopicNames:
    """The topics' names under a prefix."""

    prefix: str = "tracelink."
    job: str | None = None
    """The replay job that these topics belong to, if any."""

    def of_job(self, job: str) -> "TopicNames":
        """Return the names of a replay job's topics."""
        return TopicNames(f"{self.prefix}replay.{job}.", job)

    def job_group(self, stage: str) -> str:
        """Return the consumer group of a stage (`copy`, `join`, `sink-NAME`) of this replay job."""
        return f"{self.prefix}{stage}"

    @property
    def jobs(self) -> str:
        """The replay jobs, keyed by their names; compacted."""
        return f"{self.prefix}replays"

    @property
    def resolutions(self) -> str:
        """The resolutions of dead letters (redriven or discarded), keyed by the letter's place; compacted."""
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
        """Output of the join: of each errored trace, the first part with an error."""
        return f"{self.prefix}error-traces"

    @property
    def errors(self) -> str:
        """Occurrences: errored traces reduced to where the error began, keyed by the problem's fingerprint."""
        return f"{self.prefix}errors"

    @property
    def problems(self) -> str:
        """The state of each problem, keyed by its fingerprint; compacted."""
        return f"{self.prefix}problems"

    @property
    def alerts(self) -> str:
        """Alerts, keyed by the problem's fingerprint."""
        return f"{self.prefix}alerts"

    @property
    def dead_letters(self) -> str:
        """Invalid messages and refused records, with the reason in their headers."""
        return f"{self.prefix}dead-letters"

    @property
    def trends(self) -> str:
        """Curves of errors and dead letters by minute, of each partition; compacted."""
        return f"{self.prefix}trends"

    def changelog(self, group: str, kind: str) -> str:
        """Return the changelog of a group of `tracelink trends`, which restores its curves of this kind."""
        return f"{self.prefix}trends.{group}.{kind}"

    def journal(self, group: str) -> str:
        """Return the journal of a join group: the parts that it wrote, one record per transaction and partition."""
        return f"{self.prefix}closed" if self.job else f"{self.prefix}closed.{group}"


PartitionId = tuple[str, int]
"""Topic and number of a partition."""
