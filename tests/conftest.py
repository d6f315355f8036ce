"""What every test may ask for: the real servers, and names that no other test uses."""

import os
import signal
import socket
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import urllib3
from hypothesis import HealthCheck, settings
from xdist.workermanage import WorkerController

from pipeline.local.paths import default_directory
from pipeline.local.ports import Ports
from pipeline.local.stack import Endpoints, Stack
from tests.kit.alertmanager import Running
from tests.kit.alertmanager import alertmanager as run_alertmanager

# How fast examples are made says nothing on a machine that does other things, too.
settings.register_profile("suite", suppress_health_check=[HealthCheck.too_slow], deadline=None)
settings.load_profile("suite")


def pytest_configure() -> None:
    # A cancelled CI job is told so by SIGTERM; the fixtures are to stop their servers then as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Ignored where a script runs the tests in its background, and so it would be in the processes that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


# The servers of a session whose tests several processes run: they are started before the first of these.
_SHARED = pytest.StashKey[Endpoints]()


def pytest_configure_node(node: WorkerController) -> None:
    """Tell a process that runs some of the tests where the servers are."""
    stash = node.config.stash
    if _SHARED not in stash:
        servers = ExitStack()
        node.config.add_cleanup(servers.close)
        stash[_SHARED] = servers.enter_context(_servers(Path(servers.enter_context(TemporaryDirectory()))))
    node.workerinput["stack"] = asdict(stash[_SHARED])


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    """Run Kafka, Zipkin and Elasticsearch for the whole session, on free ports and in a directory of their own.

    TRACELINK_TEST_STACK=running takes the servers of `tracelink stack up` instead, which saves a developer the start.
    """
    shared: dict[str, dict[str, str]] = getattr(request.config, "workerinput", {})
    if "stack" in shared:
        yield Endpoints(**shared["stack"])
        return
    with _servers(tmp_path_factory.mktemp("stack")) as endpoints:
        yield endpoints


@contextmanager
def _servers(directory: Path) -> Iterator[Endpoints]:
    if os.environ.get("TRACELINK_TEST_STACK") == "running":
        running = {server.server: server.url or "" for server in Stack(default_directory()).status()}
        if not all(running.values()):
            pytest.exit("TRACELINK_TEST_STACK=running, but not all servers run: tracelink stack up", returncode=1)
        yield Endpoints(**running)
        return
    servers = Stack(directory, ports=Ports(kafka=0, zipkin=0, elasticsearch=0))
    try:
        yield servers.start()
    finally:
        servers.stop()


@pytest.fixture
def topic_prefix() -> str:
    """Begin the names of this test's topics, groups and transactional ids."""
    return f"t{uuid.uuid4().hex[:8]}."


@pytest.fixture
def index_prefix(stack: Endpoints) -> Iterator[str]:
    """Begin the names of this test's indices, and delete them: a node that goes on running takes a thousand."""
    prefix = f"t{uuid.uuid4().hex[:8]}-"
    yield prefix
    listed = urllib3.request("GET", f"{stack.elasticsearch}/_cat/indices/{prefix}*?h=index").data.decode()
    for index in listed.split():
        urllib3.request("DELETE", f"{stack.elasticsearch}/{index}")
    urllib3.request("DELETE", f"{stack.elasticsearch}/_index_template/{prefix}*")


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
