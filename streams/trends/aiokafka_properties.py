"""The librdkafka properties of the user as settings of Faust, whose Kafka client is aiokafka."""

import ssl
from collections.abc import Callable, Mapping
from typing import Any

from faust.auth import SASLCredentials

from tracelink.errors import UserError

_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_PROTOCOLS = ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl")
_COMPRESSIONS = ("none", "gzip", "snappy", "lz4", "zstd")

_SECURITY = frozenset(
    {
        "enable.ssl.certificate.verification",
        "sasl.mechanism",
        "sasl.mechanisms",
        "sasl.password",
        "sasl.username",
        "security.protocol",
        "ssl.ca.location",
        "ssl.ca.pem",
        "ssl.certificate.location",
        "ssl.endpoint.identification.algorithm",
        "ssl.key.location",
        "ssl.key.password",
    }
)


def _seconds(text: str) -> float:
    return int(text) / 1000


def _flag(text: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[text.lower()]


def _compression(text: str) -> str | None:
    if text not in _COMPRESSIONS:
        raise ValueError(text)
    return None if text == "none" else text


_OTHERS: Mapping[str, tuple[Callable[[str], Any], tuple[str, ...]]] = {
    "batch.size": (int, ("producer_max_batch_size",)),
    "check.crcs": (_flag, ("broker_check_crcs",)),
    "client.id": (str, ("broker_client_id",)),
    "compression.codec": (_compression, ("producer_compression_type",)),
    "compression.type": (_compression, ("producer_compression_type",)),
    "connections.max.idle.ms": (int, ("consumer_connections_max_idle_ms", "producer_connections_max_idle_ms")),
    "fetch.message.max.bytes": (int, ("consumer_max_fetch_size",)),
    "heartbeat.interval.ms": (_seconds, ("broker_heartbeat_interval",)),
    "linger.ms": (_seconds, ("producer_linger",)),
    "max.partition.fetch.bytes": (int, ("consumer_max_fetch_size",)),
    "max.poll.interval.ms": (_seconds, ("broker_max_poll_interval",)),
    "message.max.bytes": (int, ("producer_max_request_size",)),
    "metadata.max.age.ms": (int, ("consumer_metadata_max_age_ms", "producer_metadata_max_age_ms")),
    "queue.buffering.max.ms": (_seconds, ("producer_linger",)),
    "socket.timeout.ms": (_seconds, ("broker_request_timeout", "producer_request_timeout")),
}
"""The parser of each property, and the settings of Faust that it becomes."""


def faust_settings(properties: Mapping[str, str | int | float | bool]) -> dict[str, Any]:
    """Return the settings of Faust that stand for these properties of librdkafka.

    Raises UserError with the name of a property that aiokafka does not have, or whose value it does not take.
    """
    given = {name: str(value) for name, value in properties.items()}
    settings: dict[str, Any] = {}
    for name, text in given.items():
        if name in _SECURITY:
            continue
        if name not in _OTHERS:
            raise UserError(
                f"The Kafka property {name} has no equivalent in aiokafka, the client of this command: remove it for "
                "this process."
            )
        parse, names = _OTHERS[name]
        try:
            settings |= dict.fromkeys(names, parse(text))
        except (ValueError, KeyError):
            raise _refused(name, text) from None
    return settings | _security(given)


def _security(given: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of TLS and SASL."""
    protocol = given.get("security.protocol", "plaintext").lower()
    if protocol not in _PROTOCOLS:
        raise _refused("security.protocol", protocol)
    context = _context(given) if protocol.endswith("ssl") else None
    if not protocol.startswith("sasl"):
        return {} if context is None else {"ssl_context": context}
    name = "sasl.mechanisms" if "sasl.mechanisms" in given else "sasl.mechanism"
    mechanism = given.get(name, "GSSAPI").upper()  # librdkafka's default
    if mechanism not in _MECHANISMS:
        raise UserError(
            f"The Kafka property {name} is {mechanism}: this command supports only {', '.join(_MECHANISMS)}."
        )
    credentials = SASLCredentials(
        username=given.get("sasl.username"),
        password=given.get("sasl.password"),
        ssl_context=context,
        mechanism=mechanism,
    )
    return {"broker_credentials": credentials}


def _context(given: Mapping[str, str]) -> ssl.SSLContext:
    location = given.get("ssl.ca.location")
    try:
        context = ssl.create_default_context(
            cafile=None if location in {None, "probe"} else location, cadata=given.get("ssl.ca.pem")
        )
    except (ssl.SSLError, OSError) as error:
        name = "ssl.ca.location" if location else "ssl.ca.pem"
        raise UserError(f"The Kafka property {name} is not valid: {error}.") from None
    if given.get("ssl.endpoint.identification.algorithm", "https") == "none":
        context.check_hostname = False
    if given.get("enable.ssl.certificate.verification", "true").lower() in {"false", "0"}:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate = given.get("ssl.certificate.location")
    if certificate is not None:
        # Without a password OpenSSL would ask for one at the terminal.
        password = given.get("ssl.key.password", "")
        try:
            context.load_cert_chain(certificate, given.get("ssl.key.location"), password)
        except (ssl.SSLError, OSError) as error:
            raise UserError(
                f"The Kafka properties ssl.certificate.location and ssl.key.location are not valid: {error}."
            ) from None
    return context


def _refused(name: str, text: str) -> UserError:
    return UserError(f"The Kafka property {name} is {text!r}, which aiokafka does not take.")
