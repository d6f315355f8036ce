"""The librdkafka properties that the client of Faust has, and those that it refuses."""

import ssl
from pathlib import Path

import pytest
from faust.auth import SASLCredentials

from streams.trends.aiokafka_properties import faust_settings
from tests.kit.certificates import certify
from tracelink.errors import UserError


@pytest.mark.parametrize(
    ("properties", "settings"),
    [
        ({}, {}),
        ({"client.id": "curves"}, {"broker_client_id": "curves"}),
        ({"compression.type": "none"}, {"producer_compression_type": None}),
        ({"compression.codec": "zstd"}, {"producer_compression_type": "zstd"}),
        ({"linger.ms": "20"}, {"producer_linger": 0.02}),
        ({"heartbeat.interval.ms": "2000"}, {"broker_heartbeat_interval": 2.0}),
        ({"check.crcs": "false"}, {"broker_check_crcs": False}),
        ({"max.partition.fetch.bytes": "5000"}, {"consumer_max_fetch_size": 5000}),
        (
            {"connections.max.idle.ms": 9000},
            {"consumer_connections_max_idle_ms": 9000, "producer_connections_max_idle_ms": 9000},
        ),
        ({"socket.timeout.ms": "5000"}, {"broker_request_timeout": 5.0, "producer_request_timeout": 5.0}),
        ({"security.protocol": "PLAINTEXT"}, {}),
    ],
)
def test_a_property_becomes_settings_of_faust(properties: dict[str, str | int], settings: dict[str, object]) -> None:
    assert faust_settings(properties) == settings


@pytest.mark.parametrize(
    ("properties", "name"),
    [
        ({"statistics.interval.ms": "1000"}, "statistics.interval.ms"),
        ({"queued.min.messages": 5}, "queued.min.messages"),
        ({"linger.ms": "soon"}, "linger.ms"),
        ({"check.crcs": "maybe"}, "check.crcs"),
        ({"compression.type": "brotli"}, "compression.type"),
        ({"security.protocol": "tls"}, "security.protocol"),
        ({"security.protocol": "sasl_plaintext"}, "sasl.mechanism"),
        ({"security.protocol": "sasl_plaintext", "sasl.mechanisms": "OAUTHBEARER"}, "sasl.mechanisms"),
        ({"security.protocol": "ssl", "ssl.ca.location": "/missing.pem"}, "ssl.ca.location"),
        ({"security.protocol": "ssl", "ssl.ca.pem": "?"}, "ssl.ca.pem"),
        ({"security.protocol": "ssl", "ssl.certificate.location": "/missing.pem"}, "ssl.certificate.location"),
    ],
)
def test_another_property_or_value_is_refused_by_name(properties: dict[str, str | int], name: str) -> None:
    with pytest.raises(UserError, match=name):
        faust_settings(properties)


@pytest.mark.parametrize("name", ["sasl.mechanism", "sasl.mechanisms"])
def test_sasl_becomes_credentials(name: str) -> None:
    found = faust_settings(
        {"security.protocol": "SASL_PLAINTEXT", name: "SCRAM-SHA-512", "sasl.username": "u", "sasl.password": "p"}
    )
    credentials = found["broker_credentials"]
    assert isinstance(credentials, SASLCredentials)
    assert (credentials.username, credentials.password, credentials.ssl_context) == ("u", "p", None)
    assert credentials.mechanism.value == "SCRAM-SHA-512"


def test_tls_verifies_the_broker_unless_that_is_switched_off() -> None:
    verified = faust_settings({"security.protocol": "ssl"})["ssl_context"]
    assert (verified.verify_mode, verified.check_hostname) == (ssl.CERT_REQUIRED, True)
    any_name = {"security.protocol": "ssl", "ssl.endpoint.identification.algorithm": "none"}
    assert not faust_settings(any_name)["ssl_context"].check_hostname
    unverified = {"security.protocol": "ssl", "enable.ssl.certificate.verification": "false"}
    assert faust_settings(unverified)["ssl_context"].verify_mode == ssl.CERT_NONE


def test_a_client_certificate_is_loaded(tmp_path: Path) -> None:
    certificate, key = tmp_path / "client.pem", tmp_path / "client.key"
    certify("client", certificate, key)
    mutual: dict[str, str | int] = {
        "security.protocol": "sasl_ssl",
        "sasl.mechanisms": "PLAIN",
        "ssl.ca.location": str(certificate),
        "ssl.certificate.location": str(certificate),
        "ssl.key.location": str(key),
    }
    context = faust_settings(mutual)["broker_credentials"].ssl_context
    assert [one["subject"] for one in context.get_ca_certs()] == [((("commonName", "client"),),)]
    with pytest.raises(UserError, match=r"ssl\.key\.location"):
        faust_settings(mutual | {"ssl.key.location": str(certificate)})
