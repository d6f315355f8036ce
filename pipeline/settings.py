"""Settings that several of our processes share; those of one component are beside it."""

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
"""The group of entry points that name each process's settings, so that nothing here imports a stage."""

JOB_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$"
"""What a replay job may be called: its name is part of its topics', between dots."""


def listing(choices: Collection[str]) -> Callable[[str], str]:
    """Return a validator of a text that lists some of these, separated by commas."""

    def validate(text: str) -> str:
        for name in text.split(","):
            if name.strip() not in choices:
                raise ValueError(f"{name.strip()!r} is not one of {', '.join(choices)}")
        return text

    return validate


class JoinTopicSettings(RecordSettings):
    """What the join and its topics agree on."""

    title = "The join and `tracelink topics`"

    join_group: str = Field(
        "tracelink-join", description="The join's consumer group; its journal is the topic PREFIXclosed.GROUP."
    )
    max_trace_bytes: ByteSize = Field(ByteSize(4 * _MIB), ge=1024, description="A part of a trace closes at this size.")


class TopicSettings(JoinTopicSettings):
    """What `topics apply` creates."""

    title = "`tracelink topics`"

    partitions: int = Field(6, ge=1, description="Partitions of each topic; spans and logs always have equally many.")
    replication: int = Field(1, ge=1, description="Replicas of each partition; 3 in production.")
    retention: float = Field(7 * 86400, gt=0, description="Seconds the topics keep data, at creation.")
    joined_retention: float | None = Field(
        None, gt=0, description="The same for what the join puts out, traces and error-traces; by default as the rest."
    )


class ReplayedSettings(KafkaSettings):
    """What can work on the topics of a replay job."""

    title = "The join and the sinks of traces"

    replay: str | None = Field(
        None,
        pattern=JOB_NAME,
        description="Replay job to work on: its own topics and groups instead of the live ones, to their ends.",
    )


def names_of(settings: KafkaSettings) -> TopicNames:
    """Return the names of the topics that a process under these settings works on: the live ones, or a replay job's."""
    names = TopicNames(settings.topic_prefix)
    job = settings.replay if isinstance(settings, ReplayedSettings) else None
    return names if job is None else names.of_job(job)


class WindowSettings(ReplayedSettings):
    """How long the join holds a trace open."""

    title = "The join's windows"

    idle_gap: float = Field(5.0, gt=0, description="Seconds without a record after which a trace's window closes.")
    max_age: float = Field(60.0, gt=0, description="Seconds after its first record at which a window closes anyhow.")


class MonitoringSettings(Settings):
    """Where a process serves /metrics, /healthz and /readyz, and what it logs."""

    title = "The workers, the sinks and the canary"

    http_host: str = Field("127.0.0.1", description="Address of /metrics, /healthz and /readyz; 0.0.0.0 for all.")
    http_port: int = Field(0, ge=0, le=65535, description="Port of /metrics, /healthz and /readyz; 0 for any free one.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info",
        description="Least level that is logged: debug, info, warning, error.",
    )


class WatchedSettings(MonitoringSettings):
    """When a process that reads topics takes itself for stuck."""

    title = "The workers and the sinks"

    stuck_after: float = Field(
        300.0,
        gt=0,
        description="Seconds without progress, while there is work, after which a worker ends to be started again.",
    )


class RedactionSettings(Settings):
    """What is made unreadable in texts before they leave."""

    title = "`tracelink alerts` and the sinks"

    redact: str = Field(
        "password,token,email,card",
        description="Kinds of secrets that are redacted in texts: password, token, email, card; empty for none.",
    )
    redact_patterns: str | None = Field(
        None, description="Further regular expressions whose matches are redacted, one a line."
    )

    def redactor(self) -> Redactor:
        """Return what these settings ask for; raises UserError that names the setting and what is wrong in it."""
        kinds = [kind.strip() for kind in self.redact.split(",") if kind.strip()]
        patterns = [line for line in (self.redact_patterns or "").splitlines() if line.strip()]
        for pattern in patterns:
            try:
                compiled(pattern)
            except (re.error, ValueError) as error:
                raise UserError(f"{variable_of('redact_patterns')}: {pattern!r}: {error}.") from None
        try:
            return Redactor(kinds, patterns)
        except ValueError as error:
            raise UserError(f"{variable_of('redact')}: {error}.") from None


class ZipkinAccess(Settings):
    """How to reach Zipkin."""

    title = "Access to Zipkin"

    zipkin_url: str = Field("http://127.0.0.1:9411", pattern="^https?://", description="Base URL of Zipkin.")
    zipkin_headers: SecretStr | None = Field(
        None, description="Headers to send, NAME: VALUE, one a line or separated by ';'."
    )
    zipkin_ca: Path | None = Field(None, description="File with the certificates that sign Zipkin's.")


class ElasticsearchAccess(Settings):
    """How to reach Elasticsearch, and which indices are ours."""

    title = "Access to Elasticsearch"

    elasticsearch_url: str = Field("http://127.0.0.1:9200", description="URLs of Elasticsearch, separated by commas.")
    elasticsearch_api_key: SecretStr | None = Field(None, description="API key, as Elasticsearch prints it (base64).")
    elasticsearch_username: str | None = Field(None, description="User for basic auth.")
    elasticsearch_password: SecretStr | None = Field(None, description="Password for basic auth.")
    elasticsearch_ca: Path | None = Field(None, description="File with the certificates that sign Elasticsearch's.")
    index_prefix: str = Field(
        "tracelink-", pattern=r"^[a-z0-9][a-z0-9._-]*$", description="What every index name starts with."
    )


def without_credentials(text: str) -> str:
    """Return a text with URLs as it may be shown: without their users and passwords, even where these break a URL."""
    return re.sub(r"(?<=://)[^\s,]*@", "", text)


def settings_of(process: str) -> type[Settings]:
    """Return the settings of a process, by the name of its entry point; raises KeyError."""
    found: type[Settings] = entry_points(group=PROCESSES)[process].load()
    return found


def processes() -> Mapping[str, type[Settings]]:
    """Return the settings of each process by its name."""
    return {point.name: point.load() for point in entry_points(group=PROCESSES)}
