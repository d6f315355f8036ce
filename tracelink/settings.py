"""The settings: a flag, an environment variable `TRACELINK_…`, or a file named by `TRACELINK_…_FILE`.

This module has those of a service; other rooms define their own. Durations are in seconds. Sizes take units (`64MiB`).
"""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, ByteSize, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from tracelink.errors import UserError

PREFIX = "TRACELINK_"
KAFKA_PREFIX = "TRACELINK_KAFKA_"
"""Every variable with this prefix that is not a setting is a librdkafka property."""

NAMES = frozenset(
    {
        "alertmanager_ca", "alertmanager_headers", "alertmanager_ui_url", "alertmanager_url", "alerts_group",
        "allow_hosts", "allow_networks", "allowance", "answer_within", "batch_bytes", "batch_wait", "body_timeout",
        "buffer_bytes", "buffer_records", "canary_every", "canary_stages", "canary_within", "commit_interval",
        "elasticsearch_api_key", "elasticsearch_ca", "elasticsearch_password", "elasticsearch_url",
        "elasticsearch_username", "error_http_status", "flush_timeout", "gateway_certificate", "gateway_client_ca",
        "gateway_grpc_listen", "gateway_key", "gateway_listen", "gateway_open", "gateway_redact", "gateway_tokens_file",
        "header_timeout", "http_host", "http_port", "idle_gap", "index_prefix", "index_suffix", "index_unit",
        "instance_id", "join_group", "joined_retention", "kafka_bootstrap_servers", "kafka_config_file",
        "keep_log_level", "keep_share", "keep_slower_than", "kibana_url", "known_for", "late_for", "log_level",
        "max_age", "max_body_bytes", "max_connections", "max_curves", "max_in_hand_bytes", "max_open_bytes",
        "max_operations", "max_problems", "max_record_bytes", "max_request_records", "max_requests", "max_searches",
        "max_trace_bytes", "max_trace_records", "page_listen", "page_proxies", "page_token", "page_url",
        "page_user_header", "partitions", "quiet_after", "redact", "redact_names", "redact_patterns", "replay",
        "replay_alerts", "replicas", "replication", "request_timeout", "retention", "root_grace", "rules_file",
        "sample_rate", "search_tags", "sender_rate", "service_metrics", "session_timeout", "setup_templates", "shards",
        "sink_group", "stack_dir", "stack_elasticsearch_heap", "stack_elasticsearch_port", "stack_gateway_grpc_port",
        "stack_gateway_port", "stack_java_options", "stack_kafka_heap", "stack_kafka_port", "stack_maven_repository",
        "stack_only", "stack_page_port", "stack_zipkin_heap", "stack_zipkin_port", "store_timeout", "stuck_after",
        "topic_prefix", "transaction_timeout", "trends_every", "trends_group", "webhook_ca", "webhook_events",
        "webhook_headers", "webhook_secret", "webhook_template", "webhook_url", "zipkin_ca", "zipkin_headers",
        "zipkin_ui_url", "zipkin_url",
    }
)  # fmt: skip
"""All settings of all processes and of the local stack: a process ignores the variables of other processes."""

_MIB = 1024 * 1024
_MAX_PORT = 65535


class _FileSource(PydanticBaseSettingsSource):
    """Reads the setting NAME from the file that NAME_FILE names, for secrets of containers."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - pydantic's signature
        variable = variable_of(field_name) + "_FILE"
        path = os.environ.get(variable)
        return (read_secret(variable, path) if path else None), field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


class Settings(BaseSettings):
    """The base of all settings; precedence: flags, environment variables, files, defaults."""

    title: ClassVar[str] = ""
    """The processes that read these settings, as the title of their table."""

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
        """Return the sources in order of precedence."""
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
            if first["type"].endswith("_parsing"):
                # Pydantic names the type; the description has the unit.
                said = f"{said.partition(',')[0]}, not {first['input']!r}. {cls.model_fields[name].description}"
            raise UserError(f"{variable_of(name)} (or {flag_of(name)}): {said.rstrip('.')}.") from None

    @classmethod
    def load_own(cls, flags: Mapping[str, object]) -> Self:
        """Load as `load` does, from those of the flags that are settings of this class."""
        return cls.load(**{name: value for name, value in flags.items() if name in cls.model_fields})


def _host_and_port(text: str) -> str:
    """Reject an address without a port: librdkafka's default, 9092, may be another Kafka."""
    for address in text.split(","):
        host, colon, port = address.strip().rpartition(":")
        if not (host and colon and port.isdecimal() and int(port) <= _MAX_PORT) or "/" in host:
            raise ValueError(f"{address.strip()!r} is not HOST:PORT")
    return text


class KafkaSettings(Settings):
    """The address of Kafka, and the prefix of our topics."""

    title = "Everything"

    kafka_bootstrap_servers: Annotated[str, AfterValidator(_host_and_port)] = Field(
        "127.0.0.1:9092", description="Kafka brokers, HOST:PORT[,HOST:PORT…]."
    )
    kafka_config_file: Path | None = Field(
        None, description="File of librdkafka properties (TLS, SASL, …), one name=value per line."
    )
    topic_prefix: str = Field("tracelink.", pattern=r"^[A-Za-z0-9._-]*$", description="Prefix of all topic names.")


class RecordSettings(KafkaSettings):
    """The settings that writers and readers of `spans` and `logs` must share."""

    title = "Services, `tracelink send`, the join and `tracelink topics`"

    max_record_bytes: ByteSize = Field(
        ByteSize(_MIB), ge=1024, description="Largest span or log record; services cut the texts of larger ones."
    )


class PublisherSettings(RecordSettings):
    """The settings of the publisher in a service."""

    title = "Services, and `tracelink send`"

    buffer_records: int = Field(
        100_000, ge=1, description="Most records to buffer while Kafka is down; more are dropped and counted."
    )
    buffer_bytes: ByteSize = Field(ByteSize(64 * _MIB), ge=1024, description="Most bytes to buffer, likewise.")
    flush_timeout: float = Field(5.0, ge=0, description="Seconds to send buffered records when the service ends.")
    sample_rate: float = Field(
        1.0, ge=0, le=1, description="Share of new traces to sample; a caller's decision is kept."
    )
    error_http_status: int = Field(500, ge=100, le=600, description="Spans with this HTTP status or above are errored.")


def variable_of(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper()


def flag_of(name: str) -> str:
    """Return the flag of a setting."""
    return "--" + name.replace("_", "-")


def read_secret(variable: str, path: str) -> str:
    """Return the text of the file that a variable names, without trailing newlines; raises UserError."""
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{variable}: cannot read {path!r} ({error}).") from None


def refuse_unknown_variables() -> None:
    """Raise UserError for a variable with our prefix that is not a setting; suggest the nearest name."""
    known = {variable_of(name) for name in NAMES}
    known |= {f"{variable}_FILE" for variable in known if not variable.startswith(f"{PREFIX}STACK_")}
    # Properties of librdkafka and variables of the tests are not settings.
    passed = (KAFKA_PREFIX, f"{PREFIX}TEST_")
    for variable in os.environ:
        if variable.startswith(PREFIX) and variable not in known and not variable.startswith(passed):
            near = get_close_matches(variable, known, n=1, cutoff=0.85)
            hint = f" Did you mean {near[0]}?" if near else " docs/settings.md lists them."
            raise UserError(f"{variable} is not a setting.{hint}")
