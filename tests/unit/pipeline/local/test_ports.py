import socket
from collections.abc import Iterator

import pytest

from pipeline.local.kafka import KAFKA
from pipeline.local.ports import Ports, choose, free_port, refuse_others
from pipeline.local.state import Record
from pipeline.local.zipkin import ZIPKIN
from tracelink.errors import UserError


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_taken_port_is_refused_with_the_server_and_the_option(taken: int) -> None:
    with pytest.raises(UserError, match=f"Port {taken}, for kafka, is taken .* --kafka-port"):
        choose([KAFKA], Ports(kafka=taken), {})


def test_one_port_for_two_servers_is_refused() -> None:
    port = free_port()
    with pytest.raises(UserError, match=f"Port {port} is requested twice.*--zipkin-port"):
        choose([KAFKA, ZIPKIN], Ports(kafka=port, zipkin=port), {})


def test_zero_is_any_free_port() -> None:
    chosen = choose([KAFKA, ZIPKIN], Ports(kafka=0, zipkin=0), {})
    assert 1024 < chosen["kafka"] != chosen["zipkin"] > 1024


def test_a_server_that_died_comes_back_on_its_port() -> None:
    port = free_port()
    assert choose([KAFKA], Ports(), {"kafka": Record(mark="", port=port)}) == {"kafka": port}


def test_a_running_server_is_refused_on_another_port_only() -> None:
    records = {"kafka": Record(mark="", port=9000)}
    refuse_others([KAFKA], Ports(), records)
    refuse_others([KAFKA], Ports(kafka=0), records)
    refuse_others([KAFKA], Ports(kafka=9000), records)
    with pytest.raises(UserError, match="kafka is already running, on port 9000 and not 9001"):
        refuse_others([KAFKA], Ports(kafka=9001), records)
