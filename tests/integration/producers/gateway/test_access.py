"""Who may send to the gateway: tokens, TLS, certificates of clients."""

from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
import urllib3
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from tests.kit.certificates import certify
from tests.kit.gateway import gateway
from tests.kit.processes import running
from tests.kit.waiting import wait_for
from tracelink.settings import KafkaSettings


class _Files(NamedTuple):
    """The files of a CA, of a certificate of 127.0.0.1 that it has signed, and of that one's key."""

    ca: Path
    certificate: Path
    key: Path


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> _Files:
    folder = tmp_path_factory.mktemp("tls")
    files = _Files(*(folder / name for name in ("ca.pem", "cert.pem", "key.pem")))
    ca_key = folder / "ca-key.pem"
    certify("tests", files.ca, ca_key)
    signed = ("-CA", str(files.ca), "-CAkey", str(ca_key), "-addext", "basicConstraints=critical,CA:FALSE")
    certify("gateway", files.certificate, files.key, *signed, "-addext", "subjectAltName=IP:127.0.0.1")
    return files


def test_without_a_valid_token_nothing_is_taken(where: KafkaSettings, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("shop:s3cret\n")
    with (
        gateway(where.kafka_bootstrap_servers, where.topic_prefix, tmp_path, gateway_tokens_file=str(tokens)) as door,
        urllib3.PoolManager(retries=False) as pool,
    ):

        def post(**headers: str) -> int:
            return pool.request("POST", f"{door.url}/api/v2/spans", body=b"[]", headers=headers).status

        assert post() == 401
        assert post(Authorization="Bearer wrong") == 401
        assert post(Authorization="Bearer s3cret") == 202
        assert post(**urllib3.make_headers(basic_auth="shop:s3cret")) == 202
        tokens.write_text("shop:an0ther-one\n")
        wait_for("the new token to count", lambda: post(Authorization="Bearer an0ther-one") == 202)
        assert post(Authorization="Bearer s3cret") == 401
        assert "s3cret" not in door.process.output()


def test_a_sender_beyond_its_rate_is_refused_over_http_and_grpc_until_its_time_comes(
    where: KafkaSettings, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("shop:s3cret\nmobile:other\n")
    settings = {"gateway_tokens_file": str(tokens), "sender_rate": "1000"}
    with (
        gateway(where.kafka_bootstrap_servers, where.topic_prefix, tmp_path, **settings) as door,
        urllib3.PoolManager(retries=False) as pool,
        grpc.insecure_channel(door.grpc) as channel,
    ):

        def post(token: str, body: bytes) -> urllib3.BaseHTTPResponse:
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            return pool.request("POST", f"{door.url}/v1/traces", body=body, headers=headers)

        export: Any = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        assert post("s3cret", b"{" + b" " * 15_000 + b"}").status == 200
        refused = post("s3cret", b"{}")
        assert refused.status == 429
        assert 1 <= int(refused.headers["Retry-After"]) <= 6
        assert "shop" in refused.json()["message"]
        with pytest.raises(grpc.RpcError) as error:
            export(b"", metadata=[("authorization", "Bearer s3cret")], timeout=30)
        assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        trailing: Any = error.value
        (info,) = Status.FromString(dict(trailing.trailing_metadata())["grpc-status-details-bin"]).details
        assert RetryInfo.FromString(info.value).retry_delay.seconds in range(1, 7)
        assert post("other", b"{}").status == 200
        wait_for("the sender to have its bytes", lambda: post("s3cret", b"{}").status == 200)
        assert door.counted("requests_total", status="429") >= 1


def test_tls_and_the_certificates_of_clients_are_checked(where: KafkaSettings, tls: _Files, tmp_path: Path) -> None:
    ca, certificate, key = map(str, tls)
    settings = {"gateway_certificate": certificate, "gateway_key": key, "gateway_client_ca": ca}
    with gateway(where.kafka_bootstrap_servers, where.topic_prefix, tmp_path, **settings) as door:
        url = f"https://127.0.0.1:{door.port}/api/v2/spans"
        with urllib3.PoolManager(ca_certs=ca, cert_file=certificate, key_file=key, retries=False) as known:
            assert known.request("POST", url, body=b"[]").status == 202
        with (
            urllib3.PoolManager(ca_certs=ca, retries=False) as unknown,
            pytest.raises(urllib3.exceptions.HTTPError),
        ):
            unknown.request("POST", url, body=b"[]")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"TRACELINK_GATEWAY_LISTEN": "0.0.0.0:4318"}, "--gateway-tokens-file"),
        ({"TRACELINK_GATEWAY_LISTEN": "gateway:4318"}, "TRACELINK_GATEWAY_LISTEN"),
        ({"TRACELINK_GATEWAY_TOKENS_FILE": "/nowhere"}, "no file"),
    ],
)
def test_a_wrong_setting_ends_it_in_one_line(
    where: KafkaSettings, settings: dict[str, str], said: str, tmp_path: Path
) -> None:
    environment = {
        "TRACELINK_KAFKA_BOOTSTRAP_SERVERS": where.kafka_bootstrap_servers,
        "TRACELINK_TOPIC_PREFIX": where.topic_prefix,
        **settings,
    }
    with running("gateway", log=tmp_path / "gateway.log", **environment) as process:
        assert process.wait() == 1
        assert process.output().startswith("Error: ")
        assert said in process.output()
        assert process.output().count("\n") == 1


def test_a_port_that_is_taken_ends_it_in_one_line(where: KafkaSettings, tmp_path: Path) -> None:
    with gateway(where.kafka_bootstrap_servers, where.topic_prefix, tmp_path) as door:
        environment = {
            "TRACELINK_KAFKA_BOOTSTRAP_SERVERS": where.kafka_bootstrap_servers,
            "TRACELINK_TOPIC_PREFIX": where.topic_prefix,
            "TRACELINK_GATEWAY_LISTEN": f"127.0.0.1:{door.port}",
            "TRACELINK_GATEWAY_GRPC_LISTEN": "",
        }
        with running("gateway", log=tmp_path / "second.log", **environment) as second:
            assert second.wait() == 1
            assert f"Cannot listen on 127.0.0.1:{door.port}" in second.output()
