"""The settings of `tracelink trends`."""

from pydantic import Field

from streams.worker.settings import MemberSettings
from tracelink.kafka.topics import TopicNames


class TrendsSettings(MemberSettings):
    """Settings of the workers that count errors and dead letters by minute."""

    title = "`tracelink trends`"

    trends_group: str = Field(
        "tracelink-trends",
        description="Consumer group of the workers that count curves; their changelogs are the topics "
        "PREFIXtrends.GROUP.KIND.",
    )
    trends_every: float = Field(5.0, gt=0, description="Seconds between two writes of the curves that have changed.")
    max_curves: int = Field(
        10_000,
        ge=1,
        description="Curves of each kind per partition; the errors of further names are counted together.",
    )

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that the worker reads or writes, without its changelogs."""
        names = TopicNames(self.topic_prefix)
        return names.errors, names.dead_letters, names.trends
