"""The settings of the join."""

from typing import Annotated

from pydantic import AfterValidator, ByteSize, Field, ValidationInfo

from pipeline.settings import JoinTopicSettings, WindowSettings, names_of
from streams.join.window import WindowLimits
from streams.worker.settings import WorkerSettings

_MIB = 1024 * 1024


def _of_a_replay(value: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic's signature
    if value and info.data.get("replay") is None:
        raise ValueError("only a replay can hand over its errored traces: name the job with --replay")
    return value


class JoinSettings(WorkerSettings, WindowSettings, JoinTopicSettings):
    """Settings of the join's windows, transactions and memory."""

    title = "The join"

    root_grace: float = Field(
        6.0, ge=0, description="Seconds after its root span until a part closes; 0 to wait for idle_gap instead."
    )
    max_trace_records: int = Field(20_000, ge=1, description="Records at which a part closes.")
    late_for: float = Field(
        600.0, ge=0, description="Seconds for which the join remembers an errored trace, so that it alerts only once."
    )
    commit_interval: float = Field(0.2, gt=0, description="Seconds between the join's transactions.")
    allowance: float = Field(
        1.0, ge=0, description="Seconds that a record may take from its broker time until it can be read."
    )
    max_open_bytes: ByteSize = Field(
        ByteSize(512 * _MIB), ge=_MIB, description="Bytes of all open parts; beyond it, the oldest close early."
    )
    replay_alerts: Annotated[bool, AfterValidator(_of_a_replay)] = Field(
        default=False,
        description="Send the errored traces of a replay to the live alerts; by default they stay with the job.",
    )

    @property
    def group(self) -> str:
        """The join's consumer group: the one from the settings, or that of the replay job."""
        names = names_of(self)
        return names.job_group("join") if names.job else self.join_group

    def limits(self) -> WindowLimits:
        """Return the limits at which parts close."""
        return WindowLimits(
            idle_gap=round(self.idle_gap * 1000),
            max_age=round(self.max_age * 1000),
            root_grace=round(self.root_grace * 1000) or None,
            max_records=self.max_trace_records,
            max_bytes=self.max_trace_bytes,
            max_record_bytes=self.max_record_bytes,
        )

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that the join reads or writes."""
        names = names_of(self)
        journal = names.journal(self.group)
        jobs = () if names.job else (names.jobs,)
        return names.spans, names.logs, names.traces, names.error_traces, names.dead_letters, journal, *jobs
