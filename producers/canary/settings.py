"""The settings of the canary."""

from typing import Annotated

from pydantic import AfterValidator, Field

from pipeline.settings import ElasticsearchAccess, MonitoringSettings, ZipkinAccess, listing
from tracelink.settings import KafkaSettings

CANARY_STAGES = ("joined", "grouped", "elasticsearch", "zipkin")
"""The stages at which `tracelink canary` looks for its probes, in the order of the pipeline."""


class CanarySettings(ZipkinAccess, ElasticsearchAccess, MonitoringSettings, KafkaSettings):
    """The canary: how often it sends a probe, and where it looks for it."""

    title = "The canary"

    canary_every: float = Field(60.0, gt=0, description="Seconds from one probe to the next.")
    canary_within: float = Field(
        60.0, gt=0, description="Seconds within which a probe must reach a stage, or is missed."
    )
    canary_stages: Annotated[str, AfterValidator(listing(CANARY_STAGES))] = Field(
        ",".join(CANARY_STAGES), description="Stages that a probe must reach, separated by commas."
    )
