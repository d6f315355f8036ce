"""The settings that sinks share."""

from pydantic import ByteSize, Field

from pipeline.settings import RedactionSettings, ReplayedSettings, WatchedSettings, names_of
from tracelink.settings import KafkaSettings

_MIB = 1024 * 1024


class SinkSettings(RedactionSettings, WatchedSettings, KafkaSettings):
    """What all sinks share."""

    title = "All sinks"

    sink_group: str | None = Field(None, description="Consumer group of the sink; by default tracelink-sink-NAME.")
    batch_bytes: ByteSize = Field(ByteSize(4 * _MIB), ge=1024, description="Largest request body before compression.")
    batch_wait: float = Field(
        0.5, ge=0, description="Seconds to gather a batch before it is sent; for the sinks of alerts 0.05."
    )
    request_timeout: float = Field(
        30.0, gt=0, description="Seconds to wait for an answer of the target; for the sinks of alerts 10."
    )

    def group(self, name: str) -> str:
        """Return the consumer group of the sink of this name: the one that is set, or the usual one."""
        return self.sink_group or f"tracelink-sink-{name}"


class TraceSinkSettings(SinkSettings, ReplayedSettings):
    """What the sinks of traces share."""

    title = "The sinks of traces"

    keep_share: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of the traces that are neither errored nor slow to write, by a hash of the trace id.",
    )
    keep_slower_than: float | None = Field(
        None, gt=0, description="Seconds; traces with a span at least as long are always written."
    )

    def group(self, name: str) -> str:
        """Return the consumer group of the sink of this name: a replay job has its own."""
        names = names_of(self)
        return names.job_group(f"sink-{name}") if names.job else super().group(name)
