"""The gateway's addresses, and the settings that contradict each other."""

from pathlib import Path

import pytest

from pipeline.runtime.listening import Address
from producers.gateway.settings import GatewaySettings
from tracelink.errors import UserError


@pytest.mark.parametrize(
    ("listen", "addresses"),
    [
        ("127.0.0.1:4318", [Address("127.0.0.1", 4318)]),
        ("localhost:4318, 0.0.0.0:9411", [Address("127.0.0.1", 4318), Address("0.0.0.0", 9411)]),  # noqa: S104 - read, not bound
        ("[::1]:4318", [Address("::1", 4318)]),
    ],
)
def test_it_listens_on_every_address_of_the_list(listen: str, addresses: list[Address]) -> None:
    assert GatewaySettings.load(gateway_listen=listen).addresses == addresses


@pytest.mark.parametrize("listen", ["4318", "127.0.0.1", "127.0.0.1:65536", "gateway:4318", ":4318", "127.0.0.1:4318,"])
def test_an_address_without_a_number_or_a_port_is_refused_by_the_name_of_its_setting(listen: str) -> None:
    with pytest.raises(UserError, match="TRACELINK_GATEWAY_LISTEN"):
        GatewaySettings.load(gateway_listen=listen)


def test_an_address_is_printed_as_in_a_url() -> None:
    assert [str(Address("127.0.0.1", 1)), str(Address("::1", 2))] == ["127.0.0.1:1", "[::1]:2"]


@pytest.mark.parametrize("listen", ["0.0.0.0:4318", "127.0.0.1:4318,10.0.0.1:4318", "[::]:4318"])
def test_beyond_this_machine_it_wants_tokens_or_certificates_or_to_be_open(listen: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--gateway-tokens-file.*--gateway-client-ca.*--open"):
        GatewaySettings.load(gateway_listen=listen).check()
    GatewaySettings.load(gateway_listen=listen, gateway_open="true").check()
    (tmp_path / "tokens").write_text("shop:secret\n")
    GatewaySettings.load(gateway_listen=listen, gateway_tokens_file=tmp_path / "tokens").check()


@pytest.mark.parametrize("listen", ["127.0.0.1:4318", "127.1.2.3:4318", "[::1]:4318", "localhost:4318"])
def test_on_this_machine_it_wants_nothing(listen: str) -> None:
    GatewaySettings.load(gateway_listen=listen).check()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"gateway_certificate": "here"}, "belong together"),
        ({"gateway_key": "here"}, "belong together"),
        ({"gateway_client_ca": "here"}, "needs TLS"),
        ({"gateway_certificate": "here", "gateway_key": "here"}, "cannot be used together.*both must be PEM"),
        ({"gateway_tokens_file": "nowhere"}, "TRACELINK_GATEWAY_TOKENS_FILE .*no file"),
        ({"gateway_certificate": "here", "gateway_key": "nowhere"}, "TRACELINK_GATEWAY_KEY .*no file"),
    ],
)
def test_files_that_are_missing_or_do_not_fit_together_are_refused(
    given: dict[str, str], said: str, tmp_path: Path
) -> None:
    (tmp_path / "here").touch()
    with pytest.raises(UserError, match=said):
        GatewaySettings.load(**{name: tmp_path / file for name, file in given.items()}).check()


@pytest.mark.parametrize(
    ("listen", "grpc", "said"),
    [
        ("127.0.0.1:4318,127.0.0.1:4318", "", "each port only once"),
        ("0.0.0.0:4318,127.0.0.1:4318", "", "each port only once"),
        ("127.0.0.1:4318", "127.0.0.1:4318", "each port only once"),
        ("127.0.0.1:0", "", "give a port"),
    ],
)
def test_an_address_that_cannot_be_meant_is_refused(listen: str, grpc: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        GatewaySettings.load(gateway_listen=listen, gateway_grpc_listen=grpc).check()


def test_one_port_of_two_addresses_is_taken() -> None:
    GatewaySettings.load(gateway_listen="127.0.0.1:4318,127.0.0.2:4318").check()


def test_a_rate_without_tokens_is_refused() -> None:
    with pytest.raises(UserError, match="--gateway-tokens-file"):
        GatewaySettings.load(sender_rate="1MiB").check()


def test_a_body_that_could_never_be_in_hand_is_refused() -> None:
    with pytest.raises(UserError, match="--max-in-hand-bytes"):
        GatewaySettings.load(max_body_bytes="2MiB", max_in_hand_bytes="1MiB").check()
