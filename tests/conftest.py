"""What every test may ask for: the real servers, and names that no other test uses."""

import os
import shutil
import signal
import socket
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

import psutil
import pytest
from hypothesis import HealthCheck, settings
from xdist.workermanage import WorkerController

from pipeline.local.paths import default_directory
from pipeline.local.ports import Ports
from pipeline.local.stack import Endpoints, Stack
from pipeline.runtime.signals import undisturbed
from tests.kit.alertmanager import Running
from tests.kit.alertmanager import alertmanager as run_alertmanager
from tests.kit.live import delete_indices

# `make test` asks for "ci", for it is what .ci/run calls; everything else has "dev". How fast examples are made says
# nothing on a machine that does other things, too.
settings.register_profile(
    "ci",
    settings.get_profile("default"),
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow],
    deadline=None,
    print_blob=True,
)
settings.register_profile("dev", settings.get_profile("ci"), max_examples=10)
settings.load_profile("dev")

_SERVERS = pytest.StashKey[Path]()
_STACK = pytest.StashKey[Stack]()


def pytest_configure() -> None:
    # A cancelled CI job is told so by SIGTERM; the fixtures are to stop their servers then as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Ignored where a script runs the tests in its background, and so it would be in the processes that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test that asks for servers, by itself or through its fixtures."""
    for item in items:
        if "servers" in getattr(item, "fixturenames", ()):
            item.add_marker("servers")


def pytest_configure_node(node: WorkerController) -> None:
    """Give a process that runs some of the tests the directory of the session's servers.

    The first process that needs the shared servers starts them. A process may be killed, so this one, which outlives
    them all, stops every server.
    """
    config = node.config
    if _SERVERS not in config.stash:
        config.stash[_SERVERS] = directory = Path(mkdtemp(prefix="tracelink-tests-"))
        run = node.workerinput["testrunuid"]
        config.add_cleanup(lambda: _end(directory, run))
    node.workerinput["servers"] = str(config.stash[_SERVERS])


def _end(directory: Path, run: str) -> None:
    """End the processes that a run has left behind, then the servers of the directory."""
    with undisturbed():
        for process in psutil.process_iter():
            # A process may end meanwhile.
            with suppress(psutil.Error):
                if process.environ().get("PYTEST_XDIST_TESTRUNUID") == run or process.ppid() == os.getpid():
                    process.kill()
        for known in directory.glob("*/state.json"):
            Stack(known.parent).stop()
        shutil.rmtree(directory)


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the directory of the session's servers, each in a folder of its own.

    Every fixture that starts a server, or needs a network, asks for it: so the tests get the mark `servers`.
    """
    if not any(item.get_closest_marker("servers") for item in request.session.items):
        pytest.fail("a test that asks for servers only while it runs needs the mark itself: servers", pytrace=False)
    given: dict[str, str] = getattr(request.config, "workerinput", {})
    return Path(given["servers"]) if given else tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="session")
def stack(servers: Path, request: pytest.FixtureRequest) -> Iterator[Endpoints]:
    """Run Kafka, Zipkin and Elasticsearch for the whole session, on free ports and in a directory of their own.

    TRACELINK_TEST_STACK=running takes the servers of `tracelink stack up` instead, which saves a developer the start.
    """
    if os.environ.get("TRACELINK_TEST_STACK") == "running":
        running = {server.server: server.url or "" for server in Stack(default_directory()).status()}
        if not all(running.values()):
            pytest.fail("TRACELINK_TEST_STACK=running, but not all servers run: tracelink stack up", pytrace=False)
        yield Endpoints(**running)
        return
    started = Stack(servers / "all", ports=Ports(kafka=0, zipkin=0, elasticsearch=0))
    if hasattr(request.config, "workerinput"):
        # Kept, for Python complains of a process that is dropped while it runs.
        request.config.stash[_STACK] = started
        # Where another process of the session does the same, this waits for it and finds its servers.
        yield started.start()
        return
    with started:
        yield started.start()


@pytest.fixture
def own_stack(servers: Path) -> Iterator[Path]:
    """Give a directory for servers of a test's own, which are stopped at its end."""
    directory = servers / uuid.uuid4().hex
    yield directory
    Stack(directory).stop()


@pytest.fixture
def topic_prefix() -> str:
    """Begin the names of this test's topics, groups and transactional ids."""
    return f"t{uuid.uuid4().hex[:8]}."


@pytest.fixture
def index_prefix(stack: Endpoints) -> Iterator[str]:
    """Begin the names of this test's indices, and delete them."""
    prefix = f"t{uuid.uuid4().hex[:8]}-"
    yield prefix
    delete_indices(stack.elasticsearch, prefix)


@pytest.fixture
def unanswering() -> Iterator[str]:
    """Give the URL of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(scope="session")
def alertmanager(servers: Path) -> Iterator[Running]:
    """Run a real Alertmanager for the whole session."""
    with run_alertmanager(Path(mkdtemp(dir=servers))) as running:
        yield running
