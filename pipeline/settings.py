"""Settings that several processes share; each component has a module for its own."""

import re
from collections.abc import Callable, Collection, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Literal

from pydantic import ByteSize, Field, SecretStr

from pipeline.analysis.redaction import Redactor, compiled
from tracelink.errors import UserError
from tracelink.kafka.topics import TopicNames
from tracelink.settings import KafkaSettings, RecordSettings, Settings, variable_of

_MIB = 1024 * 1024

PROCESSES = "tracelink.settings"
"""The entry points with the settings of each process, so that this module imports no stage."""

JOB_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$"
"""The pattern of a replay job's name, which is part of its topics' names, between dots."""


def listing(choices: Collection[str]) -> Callable[[str], str]:
    """Return a validator of a comma-separated list of these choices."""

    def validate(text: str) -> str:
        for name in text.split(","):
            if name.strip() not in choices:
                raise ValueError(f"{name.strip()!r} is not one of {', '.join(choices)}")
        return text

    return validate


class JoinTopicSettings(RecordSettings):
    """The settings that the join and `topics apply` share."""

    title = "The join and `tracelink topics`"

    join_group: str = Field(
        "tracelink-join", description="The join's consumer group; its journal is the topic PREFIXclosed.GROUP."
    )
    max_trace_bytes: ByteSize = Field(ByteSize(4 * _MIB), ge=1024, description="A part of a trace closes at this size.")


class TopicSettings(JoinTopicSettings):
    """The settings of `topics apply`."""

    title = "`tracelink topics`"

    partitions: int = Field(
        6, ge=1, description="Partitions of each new topic; spans and logs always have the same number."
    )
    replication: int = Field(1, ge=1, description="Replicas of each partition; 3 in production.")
    retention: float = Field(7 * 86400, gt=0, description="Retention of new topics in seconds.")
    joined_retention: float | None = Field(
        None,
        gt=0,
        description="Retention of new traces and error-traces topics in seconds; by default as of the others.",
    )


class ReplayedSettings(KafkaSettings):
    """The settings of processes that can process a replay job."""

    title = "The join and the sinks of traces"

    replay: str | None = Field(
        None,
        pattern=JOB_NAME,
        description="Replay job to process: its topics, read to their ends, and groups instead of the live ones.",
    )


def names_of(settings: KafkaSettings) -> TopicNames:
    """Return the names of the topics that a process with these settings uses: the live ones, or a replay job's."""
    names = TopicNames(settings.topic_prefix)
    job = settings.replay if isinstance(settings, ReplayedSettings) else None
    return names if job is None else names.of_job(job)


class WindowSettings(ReplayedSettings):
    """The windows of the join."""

    title = "The join's windows"

    idle_gap: float = Field(
        30.0, gt=0, description="A part of a trace closes after this many seconds without a record."
    )
    max_age: float = Field(
        60.0, gt=0, description="A part closes at the latest this many seconds after its first record."
    )


RECORDED = {"idle_gap": "as recorded by the join", "max_age": "as recorded by the join"}
"""The defaults of these settings in commands that look back: the windows that the join had then."""


class MonitoringSettings(Settings):
    """Metrics, health and logging of a process."""

    title = "The workers, the sinks and the canary"

    http_host: str = Field(
        "127.0.0.1", description="Address to serve /metrics, /healthz and /readyz on; 0.0.0.0 for all."
    )
    http_port: int = Field(
        0, ge=0, le=65535, description="Port to serve /metrics, /healthz and /readyz on; 0 for any free one."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info",
        description="Lowest level to log: debug, info, warning, error.",
    )


class WatchedSettings(MonitoringSettings):
    """The watchdog of a process that reads topics."""

    title = "The workers and the sinks"

    stuck_after: float = Field(
        300.0,
        gt=0,
        description="Seconds without progress despite lag after which a process ends, to be restarted.",
    )


class RedactionSettings(Settings):
    """Redaction of secrets in texts before they leave the pipeline, or enter it."""

    title = "`tracelink alerts`, the sinks and the gateway"

    redact: str = Field(
        "password,token,email,card",
        description="Kinds of secrets to redact in texts: password, token, email, card; empty for none.",
    )
    redact_patterns: str | None = Field(
        None, description="More regular expressions whose matches are redacted, one per line."
    )

    redact_names: str | None = Field(
        None,
        description="Names of tags, fields and members of JSON whose values are redacted, comma-separated, in any "
        "case; * stands for any characters.",
    )

    def redactor(self) -> Redactor:
        """Return the redactor of these settings; raises UserError with the name of a wrong setting."""
        kinds = [kind.strip() for kind in self.redact.split(",") if kind.strip()]
        patterns = [line for line in (self.redact_patterns or "").splitlines() if line.strip()]
        own_names = [name.strip() for name in (self.redact_names or "").split(",") if name.strip()]
        for pattern in patterns:
            try:
                compiled(pattern)
            except (re.error, ValueError) as error:
                raise UserError(f"{variable_of('redact_patterns')}: {pattern!r}: {error}.") from None
        try:
            return Redactor(kinds, patterns, own_names)
        except ValueError as error:
            raise UserError(f"{variable_of('redact')}: {error}.") from None


class ZipkinAccess(Settings):
    """Access to Zipkin."""

    title = "Access to Zipkin"

    zipkin_url: str = Field("http://127.0.0.1:9411", pattern="^https?://", description="Base URL of Zipkin.")
    zipkin_headers: SecretStr | None = Field(
        None, description="HTTP headers to send, NAME: VALUE, one per line or separated by ';'."
    )
    zipkin_ca: Path | None = Field(None, description="File of CA certificates (PEM) to verify Zipkin's.")


class ElasticsearchAccess(Settings):
    """Access to Elasticsearch, and the prefix of our indices."""

    title = "Access to Elasticsearch"

    elasticsearch_url: str = Field("http://127.0.0.1:9200", description="URLs of Elasticsearch, separated by commas.")
    elasticsearch_api_key: SecretStr | None = Field(None, description="API key, as Elasticsearch prints it (base64).")
    elasticsearch_username: str | None = Field(None, description="User for basic auth.")
    elasticsearch_password: SecretStr | None = Field(None, description="Password for basic auth.")
    elasticsearch_ca: Path | None = Field(None, description="File of CA certificates (PEM) to verify Elasticsearch's.")
    index_prefix: str = Field("tracelink-", pattern=r"^[a-z0-9][a-z0-9._-]*$", description="Prefix of all index names.")


def without_credentials(text: str) -> str:
    """Return a text without the users and passwords of its URLs, even if the URLs are invalid."""
    return re.sub(r"(?<=://)[^\s,]*@", "", text)


def zipkin_ui(url: str) -> str:
    """Return the address of the UI of the Zipkin with this URL, without credentials: it is for links."""
    return f"{without_credentials(url).rstrip('/')}/zipkin"


def settings_of(process: str) -> type[Settings]:
    """Return the settings class of a process, by the name of its entry point; raises KeyError."""
    found: type[Settings] = entry_points(group=PROCESSES)[process].load()
    return found


def processes() -> Mapping[str, type[Settings]]:
    """Return the settings class of each process, by name."""
    return {point.name: point.load() for point in entry_points(group=PROCESSES)}
