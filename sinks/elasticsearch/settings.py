"""The settings of the Elasticsearch sink."""

from typing import Literal

from pydantic import Field

from pipeline.settings import ElasticsearchAccess
from sinks.base.settings import TraceSinkSettings
from sinks.elasticsearch.searchable import SearchedTags

# What a request, a call or a message was about, and whose it was: few values a trace. All tags, with pods, addresses
# and paths, would cost too much for a default.
_SEARCH_TAGS = (
    "http.request.method,http.response.status_code,http.route,http.method,http.status_code,"
    "rpc.service,rpc.method,rpc.grpc.status_code,db.system,db.system.name,messaging.system,messaging.destination.name,"
    "error.type,*user.id,*tenant.id,*customer.id,*session.id,*order.id"
)


class ElasticsearchSettings(ElasticsearchAccess, TraceSinkSettings):
    """The Elasticsearch sink."""

    title = "The Elasticsearch sink"

    index_unit: Literal["day", "hour"] = Field("day", description="Time range of an index: day or hour.")
    index_suffix: str = Field(
        "",
        pattern=r"^[a-z0-9._-]*$",
        description="Suffix of all index names; with it a replay writes to separate indices.",
    )
    shards: int = Field(1, ge=1, description="Primary shards of an index.")
    replicas: int = Field(0, ge=0, description="Replicas of an index; 1 in production.")
    keep_log_level: str | None = Field(
        None,
        pattern="^(TRACE|DEBUG|INFO|WARN|ERROR)$",
        description="Lowest level of log lines to write from traces that are sampled out: TRACE, DEBUG, INFO, WARN, "
        "ERROR; by default none.",
    )
    service_metrics: bool = Field(
        default=True,
        description="Count requests, errors and durations by service and operation, and calls between services.",
    )
    max_operations: int = Field(
        1000,
        ge=0,
        description="Maximum number of operations, and of calls, counted by name in these metrics; others count as "
        "'other'.",
    )
    search_tags: str = Field(
        _SEARCH_TAGS,
        description="Names of span tags by which parts of traces can be searched, comma-separated, in any case; * "
        "stands for any characters; empty for none.",
    )
    setup_templates: bool = Field(
        default=True,
        description="Set up the index templates at start; false if the credentials may only write documents.",
    )

    def group(self, name: str) -> str:
        """Return the consumer group; a replay to other indices has its own, so that it starts from the beginning."""
        group = super().group(name)
        return group if self.replay is None else f"{group}{self.index_suffix}"

    def searched_tags(self) -> SearchedTags:
        """Return the tags by which parts are searched."""
        return SearchedTags(name.strip() for name in self.search_tags.split(",") if name.strip())
