"""The settings that all sinks share."""

from pydantic import ByteSize, Field

from pipeline.settings import RedactionSettings, ReplayedSettings, WatchedSettings, names_of
from tracelink.settings import KafkaSettings, Settings

_MIB = 1024 * 1024
# Alertmanager refuses alerts with an invalid URL.
BASE_URL = r"^https?://[A-Za-z0-9._~:/\[\]-]+$"


class SinkSettings(RedactionSettings, WatchedSettings, KafkaSettings):
    """Settings of all sinks."""

    title = "All sinks"

    sink_group: str | None = Field(None, description="Consumer group of the sink; default: tracelink-sink-NAME.")
    batch_bytes: ByteSize = Field(ByteSize(4 * _MIB), ge=1024, description="Largest request body before compression.")
    batch_wait: float = Field(
        0.5, ge=0, description="Seconds to collect a batch before it is sent; for alert sinks 0.05."
    )
    request_timeout: float = Field(
        30.0, gt=0, description="Seconds to wait for a response of the target; for alert sinks 10."
    )

    def group(self, name: str) -> str:
        """Return the consumer group of the sink with this name: `sink_group`, or the default."""
        return self.sink_group or f"tracelink-sink-{name}"


class TraceSinkSettings(SinkSettings, ReplayedSettings):
    """Settings of the trace sinks."""

    title = "Trace sinks"

    keep_share: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of the other traces to write (neither errored nor slow), 0 to 1, by a hash of the trace id.",
    )
    keep_slower_than: float | None = Field(
        None, gt=0, description="Seconds; parts of traces with a span at least this long are always written."
    )

    def group(self, name: str) -> str:
        """Return the consumer group of the sink with this name; each replay job has its own."""
        names = names_of(self)
        return names.job_group(f"sink-{name}") if names.job else super().group(name)


class LinkSettings(Settings):
    """The addresses of pages, for links."""

    title = "Alert sinks and the page"

    page_url: str | None = Field(
        None, pattern=BASE_URL, description="Address of `tracelink page` for people, for links in alerts."
    )
    zipkin_ui_url: str = Field("http://127.0.0.1:9411/zipkin", pattern=BASE_URL, description="Zipkin's UI, for links.")
    kibana_url: str = Field("http://127.0.0.1:5601", pattern=BASE_URL, description="Kibana, for links.")
