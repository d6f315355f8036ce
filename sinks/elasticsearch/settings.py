"""The settings of the Elasticsearch sink."""

from typing import Literal

from pydantic import Field

from pipeline.settings import ElasticsearchAccess
from sinks.base.settings import TraceSinkSettings


class ElasticsearchSettings(ElasticsearchAccess, TraceSinkSettings):
    """The Elasticsearch sink."""

    title = "The Elasticsearch sink"

    index_unit: Literal["day", "hour"] = Field("day", description="Stretch of time an index holds: day, hour.")
    index_suffix: str = Field(
        "",
        pattern=r"^[a-z0-9._-]*$",
        description="What every index name ends with: a replay can write beside the live documents.",
    )
    shards: int = Field(1, ge=1, description="Primary shards of an index.")
    replicas: int = Field(0, ge=0, description="Replicas of an index; 1 in production.")
    keep_log_level: str | None = Field(
        None,
        pattern="^(TRACE|DEBUG|INFO|WARN|ERROR)$",
        description="Least level of log lines to write for traces that are not kept whole: TRACE, DEBUG, INFO, WARN, "
        "ERROR; by default none of their lines.",
    )
    service_metrics: bool = Field(
        default=True,
        description="Count requests, errors and durations by service and operation, and calls between services.",
    )
    max_operations: int = Field(
        1000, ge=0, description="Operations counted by name in those metrics, and as many calls; the rest is 'other'."
    )
    setup_templates: bool = Field(
        default=True,
        description="Set up the index templates at start; false where the credentials may only write.",
    )

    def group(self, name: str) -> str:
        """Return the consumer group: what was written beside the live documents is not written over them yet."""
        group = super().group(name)
        return group if self.replay is None else f"{group}{self.index_suffix}"
