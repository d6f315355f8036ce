"""Every setting of every stage: a flag, an environment variable `TRACELINK_…`, or a file named by `TRACELINK_…_FILE`.

Durations are in seconds. Sizes take units (`64MiB`).
"""

import os
import re
import socket
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ByteSize, Field, SecretStr, ValidationError, ValidationInfo
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from tracelink.errors import UserError

PREFIX = "TRACELINK_"
KAFKA_PREFIX = "TRACELINK_KAFKA_"
"""Any variable under this prefix that is no setting of its own is a librdkafka property."""

_MIB = 1024 * 1024
_MAX_PORT = 65535
JOB_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$"
"""What a replay job may be called: its name is part of its topics', between dots."""
# What Alertmanager does not take for a URL would have it refuse every alert.
_BASE_URL = r"^https?://[A-Za-z0-9._~:/\[\]-]+$"
_EVENTS = ("NEW", "BACK", "RATE", "RESOLVED")
CANARY_STAGES = ("joined", "grouped", "elasticsearch", "zipkin")
"""Where `tracelink canary` looks for its traces, in the order in which they come there."""
_STACK_VARIABLES = frozenset(
    f"{PREFIX}STACK_{name}"
    for name in (
        "DIR", "ONLY", "KAFKA_PORT", "ZIPKIN_PORT", "ELASTICSEARCH_PORT", "MAVEN_REPOSITORY", "KAFKA_HEAP",
        "ZIPKIN_HEAP", "ELASTICSEARCH_HEAP",
    )
)  # fmt: skip


class _FileSource(PydanticBaseSettingsSource):
    """Reads the setting NAME from the file that NAME_FILE names, as container secrets come."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - pydantic's signature
        variable = variable_of(field_name) + "_FILE"
        path = os.environ.get(variable)
        return (read_secret(variable, path) if path else None), field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


class Settings(BaseSettings):
    """The base of all settings: flags before environment variables before files before defaults."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, validate_default=True)

    @classmethod
    def settings_customise_sources(  # pydantic's signature
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - not used
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - not used
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Name the sources, the strongest first."""
        return init_settings, env_settings, _FileSource(settings_cls)

    @classmethod
    def load(cls, **flags: object) -> Self:
        """Load from all sources; a flag that is None was not given. Raises UserError that names the setting."""
        refuse_unknown_variables()
        given: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
        try:
            return cls(**given)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]) if first["loc"] else ""
            said = first["msg"].removeprefix("Value error, ")
            raise UserError(f"{variable_of(name)} (or {flag_of(name)}): {said}.") from None


def _host_and_port(text: str) -> str:
    """Refuse an address without a port: librdkafka would take 9092, which may be somebody else's Kafka."""
    for address in text.split(","):
        host, colon, port = address.strip().rpartition(":")
        if not (host and colon and port.isdecimal() and int(port) <= _MAX_PORT):
            raise ValueError(f"{address.strip()!r} is not HOST:PORT")
    return text


class KafkaSettings(Settings):
    """How to reach Kafka, and which topics are ours."""

    kafka_bootstrap_servers: Annotated[str, AfterValidator(_host_and_port)] = Field(
        "127.0.0.1:9092", description="Kafka brokers, HOST:PORT[,HOST:PORT…]."
    )
    kafka_config_file: Path | None = Field(
        None, description="File of librdkafka properties, one name=value a line (TLS, SASL, …)."
    )
    topic_prefix: str = Field(
        "tracelink.", pattern=r"^[A-Za-z0-9._-]*$", description="What every topic's name starts with."
    )


class TopicSettings(KafkaSettings):
    """What `topics apply` creates."""

    partitions: int = Field(6, ge=1, description="Partitions of each topic; spans and logs always have equally many.")
    replication: int = Field(1, ge=1, description="Replicas of each partition; 3 in production.")
    retention: float = Field(7 * 86400, gt=0, description="Seconds the topics keep data, at creation.")
    joined_retention: float | None = Field(
        None, gt=0, description="The same for what the join puts out, traces and error-traces; by default as the rest."
    )
    join_group: str = Field(
        "tracelink-join", description="The join's consumer group; its journal is the topic PREFIXclosed.GROUP."
    )
    max_record_bytes: ByteSize = Field(ByteSize(_MIB), ge=1024, description="Largest span or log record.")
    max_trace_bytes: ByteSize = Field(ByteSize(4 * _MIB), ge=1024, description="A part of a trace closes at this size.")


class ReplayedSettings(TopicSettings):
    """What can work on the topics of a replay job."""

    replay: str | None = Field(
        None,
        pattern=JOB_NAME,
        description="Replay job to work on: its own topics and groups instead of the live ones, to their ends.",
    )


class MonitoringSettings(Settings):
    """Where a process serves /metrics, /healthz and /readyz, and what it logs."""

    http_host: str = Field("127.0.0.1", description="Address of /metrics, /healthz and /readyz; 0.0.0.0 for all.")
    http_port: int = Field(0, ge=0, le=65535, description="Port of /metrics, /healthz and /readyz; 0 for any free one.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info",
        description="Least level that is logged: debug, info, warning, error.",
    )


class WatchedSettings(MonitoringSettings):
    """When a process that reads topics takes itself for stuck."""

    stuck_after: float = Field(
        300.0,
        gt=0,
        description="Seconds without progress, while there is work, after which a worker ends to be started again.",
    )


class WorkerSettings(TopicSettings, WatchedSettings):
    """A worker as a member of its group, and its transactions."""

    instance_id: str = Field(
        default_factory=socket.gethostname,
        description="Name of this worker, the same after a restart and unlike any other's in the group.",
    )
    session_timeout: float = Field(
        10.0, gt=0, description="Seconds without a heartbeat after which a worker's partitions go to others."
    )
    transaction_timeout: float = Field(
        10.0, gt=0, description="Seconds after which the broker aborts a dead worker's transaction."
    )


def _of_a_replay(value: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic's signature
    if value and info.data.get("replay") is None:
        raise ValueError("without a replay there are none but the live alerts: name the job with --replay")
    return value


class JoinSettings(WorkerSettings, ReplayedSettings):
    """The join's windows, its transactions and its memory."""

    idle_gap: float = Field(5.0, gt=0, description="Seconds without a record after which a trace's window closes.")
    max_age: float = Field(60.0, gt=0, description="Seconds after its first record at which a window closes anyhow.")
    root_grace: float | None = Field(None, gt=0, description="Seconds after its root span at which a window closes.")
    max_trace_records: int = Field(20_000, ge=1, description="A part of a trace closes at this many records.")
    late_for: float = Field(
        600.0, ge=0, description="Seconds an errored trace's id is remembered, so that it alerts once."
    )
    commit_interval: float = Field(0.2, gt=0, description="Seconds between the join's transactions.")
    allowance: float = Field(1.0, ge=0, description="Seconds a record may take from its time stamp to being readable.")
    max_open_bytes: ByteSize = Field(
        ByteSize(512 * _MIB), ge=_MIB, description="Bytes of open windows in all; beyond it the oldest close early."
    )
    replay_alerts: Annotated[bool, AfterValidator(_of_a_replay)] = Field(
        default=False,
        description="Hand the errored traces of a replay to the live alerts; by default they stay with the job.",
    )


class RedactionSettings(Settings):
    """What is made unreadable in texts before they leave."""

    redact: str = Field(
        "password,token,email,card",
        description="Kinds of secrets that are redacted in texts: password, token, email, card; empty for none.",
    )
    redact_patterns: str | None = Field(
        None, description="Further regular expressions whose matches are redacted, one a line."
    )


class AlertSettings(WorkerSettings, RedactionSettings):
    """From errored traces to problems, and to the alerts that tell of them."""

    alerts_group: str = Field(
        "tracelink-alerts", description="Consumer group of the workers that group errors and raise alerts."
    )
    rules_file: Path | None = Field(
        None, description="File of alert rules (TOML), read again when it changes; without it all problems alert."
    )
    known_for: float = Field(
        86_400.0, gt=0, description="Seconds since it was last seen for which a problem is known; then it is new again."
    )
    quiet_after: float = Field(
        900.0, gt=0, description="Seconds without an occurrence after which a problem is quiet and its alert resolved."
    )
    max_problems: int = Field(
        2_000, ge=1, description="Problems known in each partition; beyond it the one seen least lately is forgotten."
    )


class SinkSettings(TopicSettings, WatchedSettings, RedactionSettings):
    """What all sinks share."""

    sink_group: str | None = Field(None, description="Consumer group of the sink; by default tracelink-sink-NAME.")
    batch_bytes: ByteSize = Field(ByteSize(4 * _MIB), ge=1024, description="Largest request body before compression.")
    batch_wait: float = Field(0.5, ge=0, description="Seconds to gather a batch before it is sent.")
    request_timeout: float = Field(30.0, gt=0, description="Seconds to wait for an answer of the target.")


class TraceSinkSettings(SinkSettings, ReplayedSettings):
    """What the sinks of traces share."""

    keep_share: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of the traces that are neither errored nor slow to write, by a hash of the trace id.",
    )
    keep_slower_than: float | None = Field(
        None, gt=0, description="Seconds; traces with a span at least as long are always written."
    )


class ZipkinAccess(Settings):
    """How to reach Zipkin."""

    zipkin_url: str = Field("http://127.0.0.1:9411", pattern="^https?://", description="Base URL of Zipkin.")
    zipkin_headers: SecretStr | None = Field(
        None, description="Headers to send, NAME: VALUE, one a line or separated by ';'."
    )
    zipkin_ca: Path | None = Field(None, description="File with the certificates that sign Zipkin's.")


class ZipkinSettings(ZipkinAccess, TraceSinkSettings):
    """The Zipkin sink."""


class ElasticsearchAccess(Settings):
    """How to reach Elasticsearch, and which indices are ours."""

    elasticsearch_url: str = Field("http://127.0.0.1:9200", description="URLs of Elasticsearch, separated by commas.")
    elasticsearch_api_key: SecretStr | None = Field(None, description="API key, as Elasticsearch prints it (base64).")
    elasticsearch_username: str | None = Field(None, description="User for basic auth.")
    elasticsearch_password: SecretStr | None = Field(None, description="Password for basic auth.")
    elasticsearch_ca: Path | None = Field(None, description="File with the certificates that sign Elasticsearch's.")
    index_prefix: str = Field(
        "tracelink-", pattern=r"^[a-z0-9][a-z0-9._-]*$", description="What every index name starts with."
    )


class ElasticsearchSettings(ElasticsearchAccess, TraceSinkSettings):
    """The Elasticsearch sink."""

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


def networks_of(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return the networks of a list in CIDR notation, separated by commas; raises ValueError."""
    return tuple(ip_network(one.strip()) for one in text.split(",") if one.strip())


def _networks(text: str) -> str:
    networks_of(text)
    return text


def _events(text: str) -> str:
    for name in text.split(","):
        if name.strip() not in _EVENTS:
            raise ValueError(f"{name.strip()!r} is none of {', '.join(_EVENTS)}")
    return text


class OutboundSettings(SinkSettings):
    """What the sinks of alerts share."""

    batch_wait: float = Field(0.05, ge=0, description="Seconds to gather a batch before it is sent.")
    request_timeout: float = Field(10.0, gt=0, description="Seconds for a request and its answer in all.")
    allow_hosts: str | None = Field(
        None, description="Hosts that alerts may be sent to, separated by commas; by default those that are configured."
    )
    allow_networks: Annotated[str, AfterValidator(_networks)] = Field(
        "",
        description="Networks (CIDR, separated by commas) that alerts may be sent to although they are not public; by "
        "default none, for Alertmanager 127.0.0.0/8,::1/128.",
    )
    max_requests: int = Field(
        60, ge=1, description="Requests a minute to each address that alerts are sent to; for Alertmanager 600."
    )
    zipkin_ui_url: str = Field(
        "http://127.0.0.1:9411/zipkin", pattern=_BASE_URL, description="Zipkin's UI, for links in alerts."
    )
    kibana_url: str = Field("http://127.0.0.1:5601", pattern=_BASE_URL, description="Kibana, for links in alerts.")


class AlertmanagerSettings(OutboundSettings):
    """The Alertmanager sink."""

    allow_networks: Annotated[str, AfterValidator(_networks)] = Field(
        "127.0.0.0/8,::1/128",
        description="Networks (CIDR, separated by commas) that alerts may be sent to although they are not public.",
    )
    max_requests: int = Field(600, ge=1, description="Requests a minute to each Alertmanager.")
    alertmanager_url: str = Field(
        "http://127.0.0.1:9093",
        pattern="^https?://",
        description="URLs of Alertmanager, those of all members of a cluster, separated by commas.",
    )
    alertmanager_headers: SecretStr | None = Field(
        None, description="Headers to send, NAME: VALUE, one a line or separated by ';'."
    )
    alertmanager_ca: Path | None = Field(None, description="File with the certificates that sign Alertmanager's.")
    quiet_after: float = Field(
        900.0,
        gt=0,
        description="As `tracelink alerts` has it; after twice as long without news Alertmanager resolves by itself.",
    )


class WebhookSettings(OutboundSettings):
    """The webhook sink."""

    webhook_url: SecretStr | None = Field(None, description="URL that each alert is posted to; never shown.")
    webhook_secret: SecretStr | None = Field(None, description="Secret that the posts are signed with.")
    webhook_headers: SecretStr | None = Field(
        None, description="Headers to send, NAME: VALUE, one a line or separated by ';'."
    )
    webhook_ca: Path | None = Field(None, description="File with the certificates that sign the webhook's.")
    webhook_template: Literal["json", "slack"] = Field("json", description="Form of the body: json, slack.")
    webhook_events: Annotated[str, AfterValidator(_events)] = Field(
        ",".join(_EVENTS), description="Events that are posted, separated by commas."
    )


def _canary_stages(text: str) -> str:
    for name in text.split(","):
        if name.strip() not in CANARY_STAGES:
            raise ValueError(f"{name.strip()!r} is none of {', '.join(CANARY_STAGES)}")
    return text


class CanarySettings(ZipkinAccess, ElasticsearchAccess, KafkaSettings, MonitoringSettings):
    """The canary: how often it sends a trace, and where it looks for it."""

    canary_every: float = Field(60.0, gt=0, description="Seconds from one canary to the next.")
    canary_within: float = Field(60.0, gt=0, description="Seconds after which a canary that was not seen is missed.")
    canary_stages: Annotated[str, AfterValidator(_canary_stages)] = Field(
        ",".join(CANARY_STAGES), description="Where canaries are looked for, separated by commas."
    )


class PublisherSettings(KafkaSettings):
    """The publisher in a service's own process."""

    buffer_records: int = Field(
        100_000, ge=1, description="Records held while Kafka is away; beyond it they are dropped and counted."
    )
    buffer_bytes: ByteSize = Field(ByteSize(64 * _MIB), ge=1024, description="The same in bytes.")
    flush_timeout: float = Field(5.0, ge=0, description="Seconds to hand over what is buffered when the service ends.")
    sample_rate: float = Field(
        1.0, ge=0, le=1, description="Share of new traces to sample; a caller's decision is kept."
    )
    error_http_status: int = Field(500, ge=100, le=600, description="Spans with this HTTP status or above are errored.")
    max_record_bytes: ByteSize = Field(ByteSize(_MIB), ge=1024, description="Largest span or log record.")


STAGES: dict[str, type[Settings]] = {
    "all commands": KafkaSettings,
    "tracelink topics": TopicSettings,
    "tracelink join": JoinSettings,
    "tracelink alerts": AlertSettings,
    "tracelink sink zipkin": ZipkinSettings,
    "tracelink sink elasticsearch": ElasticsearchSettings,
    "tracelink sink alertmanager": AlertmanagerSettings,
    "tracelink sink webhook": WebhookSettings,
    "tracelink canary": CanarySettings,
    "services, tracelink send": PublisherSettings,
}


def variable_of(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper()


def flag_of(name: str) -> str:
    """Return the flag of a setting."""
    return "--" + name.replace("_", "-")


def without_credentials(text: str) -> str:
    """Return a text with URLs as it may be shown: without their users and passwords, even where these break a URL."""
    return re.sub(r"(?<=://)[^\s,]*@", "", text)


def read_secret(variable: str, path: str) -> str:
    """Return the text of a file that a variable names, without the newline at its end; raises UserError."""
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{variable}: cannot read {path!r} ({error}).") from None


def refuse_unknown_variables() -> None:
    """Raise UserError for a variable under our prefix that is no setting, with the nearest one that is."""
    known = {variable_of(name) for stage in STAGES.values() for name in stage.model_fields}
    known |= {f"{variable}_FILE" for variable in known}
    known |= _STACK_VARIABLES
    # librdkafka's properties and the tests' variables are read where they are used.
    passed = (KAFKA_PREFIX, f"{PREFIX}TEST_")
    for variable in os.environ:
        if variable.startswith(PREFIX) and variable not in known and not variable.startswith(passed):
            near = get_close_matches(variable, known, n=1, cutoff=0.85)
            hint = f" Did you mean {near[0]}?" if near else " README.md lists them."
            raise UserError(f"{variable} is no setting.{hint}")
