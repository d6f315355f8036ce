"""What several tests of the sinks need."""

import socket
from collections.abc import Iterator

import pytest

from tests.kit.alertmanager import Running
from tests.kit.alertmanager import alertmanager as run_alertmanager


@pytest.fixture
def unanswering() -> Iterator[str]:
    """Give the URL of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(scope="session")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run a real Alertmanager for the whole session."""
    with run_alertmanager(tmp_path_factory.mktemp("alertmanager")) as running:
        yield running
