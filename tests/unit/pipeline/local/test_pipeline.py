"""The address of the gateway that `tracelink up` prints."""

import pytest

from pipeline.local.pipeline import first_address


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("127.0.0.1:4318,127.0.0.1:9411", "127.0.0.1:4318"),
        ("0.0.0.0:4318", "127.0.0.1:4318"),
        ("10.0.0.0:4318", "10.0.0.0:4318"),
        ("[::1]:4318", "[::1]:4318"),
        ("", ""),
    ],
)
def test_a_sender_here_is_given_the_first_address_that_it_can_reach(listen: str, address: str) -> None:
    assert first_address(listen) == address
