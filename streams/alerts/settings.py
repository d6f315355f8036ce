"""The settings of `tracelink alerts`."""

from pathlib import Path

from pydantic import Field

from pipeline.settings import RedactionSettings
from streams.alerts.problems import ProblemLimits
from streams.worker.settings import WorkerSettings
from tracelink.errors import UserError
from tracelink.kafka.topics import TopicNames


class AlertSettings(RedactionSettings, WorkerSettings):
    """Settings of the workers that group errored traces into problems and raise alerts."""

    title = "`tracelink alerts`"

    alerts_group: str = Field(
        "tracelink-alerts", description="Consumer group of the workers that group errors and raise alerts."
    )
    rules_file: Path | None = Field(
        None, description="File of alert rules (TOML), read again when it changes; without it, all problems alert."
    )
    known_for: float = Field(
        86_400.0, gt=0, description="Seconds after its last occurrence until a problem is forgotten and then new again."
    )
    quiet_after: float = Field(
        900.0,
        gt=0,
        description="Seconds without an occurrence after which a problem is resolved; the Alertmanager sink needs the "
        "same value.",
    )
    max_problems: int = Field(
        2_000, ge=1, description="Known problems per partition; beyond it, the least recently seen one is forgotten."
    )

    def limits(self) -> ProblemLimits:
        """Return the limits of problems; raises UserError if `known_for` is below `quiet_after`."""
        if self.known_for < self.quiet_after:
            raise UserError(
                f"TRACELINK_KNOWN_FOR (--known-for) is {self.known_for:g} s: it must be at least "
                f"TRACELINK_QUIET_AFTER (--quiet-after), which is {self.quiet_after:g} s."
            )
        return ProblemLimits(round(self.known_for * 1000), round(self.quiet_after * 1000), self.max_problems)

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that the worker reads or writes."""
        names = TopicNames(self.topic_prefix)
        return names.error_traces, names.errors, names.problems, names.alerts, names.dead_letters
