"""The librdkafka properties of all our Kafka clients, and the logs of these clients."""

import logging
import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from confluent_kafka import KafkaError

from tracelink.errors import UserError
from tracelink.settings import KAFKA_PREFIX, KafkaSettings, RecordSettings, read_secret, variable_of

Properties = dict[str, str | int | float | bool]
PARTITIONER = "murmur2_random"
"""The same hash as Java's default, so that Java and Python producers put a trace on the same partition."""
_SAME_KIND_SECONDS = 30.0
# With librdkafka's default of 10 s, a transaction would time out again after its broker has come back.
_RECONNECT_SECONDS = 1.0
_FILES = ("ssl.ca.location", "ssl.certificate.location", "ssl.key.location", "ssl.keystore.location")
# For hints only: librdkafka cannot list its properties.
_COMMON = """
    client.dns.lookup client.id client.rack compression.codec compression.level compression.type debug
    enable.ssl.certificate.verification fetch.max.bytes fetch.min.bytes fetch.wait.max.ms linger.ms
    max.partition.fetch.bytes queued.max.messages.kbytes queued.min.messages request.timeout.ms sasl.kerberos.keytab
    sasl.kerberos.principal sasl.kerberos.service.name sasl.mechanism sasl.mechanisms sasl.oauthbearer.client.id
    sasl.oauthbearer.client.secret sasl.oauthbearer.config sasl.oauthbearer.method sasl.oauthbearer.scope
    sasl.oauthbearer.token.endpoint.url sasl.password sasl.username security.protocol socket.keepalive.enable
    socket.timeout.ms ssl.ca.location ssl.ca.pem ssl.certificate.location ssl.certificate.pem ssl.cipher.suites
    ssl.endpoint.identification.algorithm ssl.key.location ssl.key.password ssl.key.pem ssl.keystore.location
    ssl.keystore.password
""".split()  # noqa: SIM905 - quotes and commas would hide the names


def user_properties(settings: KafkaSettings) -> Properties:
    """Return the properties that the user has set, in the file and in variables."""
    return _from_file(settings.kafka_config_file) | _from_environment(os.environ)


def client_properties(
    settings: KafkaSettings,
    *,
    promised: Mapping[str, str | int | float | bool] | None = None,
    defaults: Mapping[str, str | int | float | bool] | None = None,
) -> Properties:
    """Return the properties of a client; the user's file and variables override `defaults`, `promised` overrides both.

    Raises UserError if the user sets a promised property to another value: our delivery guarantees depend on it.
    """
    user = user_properties(settings)
    for name, value in (promised or {}).items():
        if name in user and str(user[name]).lower() != str(value).lower():
            raise UserError(f"The Kafka property {name} must be {value} in this command, not {user[name]}: remove it.")
    for name in _FILES:
        path = user.get(name)
        if path is not None and path != "probe" and not Path(str(path)).exists():
            raise UserError(f"The Kafka property {name} names the file {path}, which does not exist.")
    return {
        "client.id": "tracelink",
        "reconnect.backoff.max.ms": round(_RECONNECT_SECONDS * 1000),
        **(defaults or {}),
        **user,
        "bootstrap.servers": settings.kafka_bootstrap_servers,
        **(promised or {}),
    }


def record_properties(
    settings: RecordSettings,
    *,
    promised: Mapping[str, str | int | float | bool] | None = None,
    defaults: Mapping[str, str | int | float | bool],
) -> Properties:
    """Return the properties of a producer of records; more are promised or defaults as in `client_properties`.

    Raises UserError if a user's property contradicts a promise.
    """
    return client_properties(
        settings,
        promised={
            "acks": "all",
            "enable.idempotence": True,
            "partitioner": PARTITIONER,
            "message.max.bytes": int(settings.max_record_bytes),
            **(promised or {}),
        },
        defaults={"compression.type": "lz4", **defaults},
    )


def _from_environment(environment: Mapping[str, str]) -> Properties:
    """Read properties from variables: `TRACELINK_KAFKA_SASL_PASSWORD` is `sasl.password`; `…_FILE` names a file."""
    own = {variable_of(name) for name in KafkaSettings.model_fields}
    properties: Properties = {}
    for variable, value in environment.items():
        if not variable.startswith(KAFKA_PREFIX) or variable in own:
            continue
        name = variable.removeprefix(KAFKA_PREFIX)
        if name.endswith("_FILE"):
            value, name = read_secret(variable, value), name.removesuffix("_FILE")  # noqa: PLW2901 - the same value, read
        properties[name.lower().replace("_", ".")] = value
    return properties


def _from_file(path: Path | None) -> Properties:
    if path is None:
        return {}
    properties: Properties = {}
    text = read_secret(variable_of("kafka_config_file"), str(path))
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith(("#", "!")):
            continue
        name, equals, value = line.partition("=")
        if not equals:
            raise UserError(f"{path}:{number}: {line.split()[0]!r} has no value; write name=value.")
        properties[name.strip()] = value.strip()
    return properties


def client_log(name: str) -> logging.Logger:
    """Return the logger of a module's Kafka clients, rate-limited: they repeat themselves while a broker is down."""
    return seldom(logging.getLogger(f"{name}.librdkafka"))


def seldom(log: logging.Logger) -> logging.Logger:
    """Limit the rate of a logger, and return it: one line in 30 seconds of those that begin with the same word."""
    if not log.filters:
        log.addFilter(_Seldom())
    return log


class _Seldom(logging.Filter):
    """Passes one line of a kind in 30 seconds; the kind is the first word (FAIL, ERROR, …)."""

    def __init__(self) -> None:
        super().__init__()
        self._next: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind = record.getMessage().partition(" ")[0]
        if record.created < self._next.get(kind, 0):
            return False
        self._next[kind] = record.created + _SAME_KIND_SECONDS
        return True


def wrong_property(error: KafkaError) -> str:
    """Return an error message for a property that librdkafka rejects, with the nearest name if the name is unknown."""
    refused = re.search(r'No such configuration property: "([^"]+)"', error.str())
    near = get_close_matches(refused.group(1), _COMMON, n=1) if refused else []
    return f"A Kafka property is wrong: {error.str()}" + (f". Did you mean {near[0]}?" if near else ".")


def property_hint(error: KafkaError) -> str:
    """Return the same, and where the user may have set the property."""
    return f"{wrong_property(error)} Check TRACELINK_KAFKA_… and TRACELINK_KAFKA_CONFIG_FILE."
