"""What several tests of the sinks need."""

import socket
from collections.abc import Iterator

import pytest


@pytest.fixture
def unanswering() -> Iterator[str]:
    """Give the URL of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
