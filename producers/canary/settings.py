"""The settings of the canary."""

from typing import Annotated

from pydantic import AfterValidator, Field

from pipeline.settings import ElasticsearchAccess, MonitoringSettings, ZipkinAccess, listing
from tracelink.settings import KafkaSettings

CANARY_STAGES = ("joined", "grouped", "elasticsearch", "zipkin")
"""Where `tracelink canary` looks for its traces, in the order in which they come there."""


class CanarySettings(ZipkinAccess, ElasticsearchAccess, MonitoringSettings, KafkaSettings):
    """The canary: how often it sends a trace, and where it looks for it."""

    title = "The canary"

    canary_every: float = Field(60.0, gt=0, description="Seconds from one canary to the next.")
    canary_within: float = Field(60.0, gt=0, description="Seconds after which a canary that was not seen is missed.")
    canary_stages: Annotated[str, AfterValidator(listing(CANARY_STAGES))] = Field(
        ",".join(CANARY_STAGES), description="Where canaries are looked for, separated by commas."
    )
