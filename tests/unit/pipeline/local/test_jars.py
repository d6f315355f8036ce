import functools
import gc
import hashlib
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.local import jars
from pipeline.local.events import Downloading, Event, ignore
from pipeline.local.jars import Jar, ensure, pinned
from pipeline.local.versions import ROOTS, VERSIONS
from tracelink.errors import UserError

_CONTENT = b"the bytes of a jar" * 1000


@dataclass
class Repository:
    url: str
    folder: Path
    requests: list[str] = field(default_factory=list)

    def publish(self, coordinates: str, content: bytes = _CONTENT) -> Jar:
        jar = Jar(coordinates, hashlib.sha256(content).hexdigest(), len(content))
        (self.folder / jar.path).parent.mkdir(parents=True)
        (self.folder / jar.path).write_bytes(content)
        return jar


@pytest.fixture(autouse=True)
def _jgo_leaves_connections() -> Iterator[None]:
    # jgo does not close the response of a download that fails; later tests are not to be blamed for it.
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    folder = tmp_path / "repository"
    folder.mkdir()
    seen: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            seen.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Repository(f"http://127.0.0.1:{server.server_port}", folder, seen)
        server.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "jars"


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "_ATTEMPTS", 1)


def test_missing_jars_are_fetched_and_the_progress_adds_up(repository: Repository, cache: Path) -> None:
    wanted = (repository.publish("org.example:one:1.0"), repository.publish("org.example:two:2.0:exec"))
    events: list[Event] = []
    ensure(wanted, cache, repository.url, events.append)
    assert (cache / "org/example/one/1.0/one-1.0.jar").read_bytes() == _CONTENT
    assert (cache / "org/example/two/2.0/two-2.0-exec.jar").read_bytes() == _CONTENT
    size = 2 * len(_CONTENT)
    last = events[-1]
    assert isinstance(last, Downloading)
    assert (last.files_done, last.files, last.bytes_done, last.bytes) == (2, 2, size, size)


def test_a_full_cache_asks_nothing_of_the_network(repository: Repository, cache: Path) -> None:
    wanted = (repository.publish("org.example:one:1.0"),)
    ensure(wanted, cache, repository.url, ignore)
    repository.requests.clear()
    ensure(wanted, cache, repository.url, ignore)
    assert repository.requests == []


def test_a_changed_file_in_the_cache_is_refused_with_its_name_and_remedy(repository: Repository, cache: Path) -> None:
    jar = repository.publish("org.example:one:1.0")
    ensure((jar,), cache, repository.url, ignore)
    (cache / jar.path).write_bytes(b"something else")
    with pytest.raises(UserError, match="tracelink stack down --purge") as caught:
        ensure((jar,), cache, repository.url, ignore)
    assert str(cache / jar.path) in caught.value.message
    assert jar.sha256 in caught.value.message
    assert hashlib.sha256(b"something else").hexdigest() in caught.value.message


def test_a_download_that_is_not_what_was_pinned_does_not_enter_the_cache(repository: Repository, cache: Path) -> None:
    jar = repository.publish("org.example:one:1.0")
    (repository.folder / jar.path).write_bytes(b"something else")
    with pytest.raises(UserError, match="The repository or a proxy sent another file"):
        ensure((jar,), cache, repository.url, ignore)
    assert list(cache.rglob("*.jar")) == []


@pytest.mark.usefixtures("_impatient")
def test_a_jar_that_the_repository_lacks_is_named(repository: Repository, cache: Path) -> None:
    jar = Jar("org.example:missing:1.0", "0" * 64, 1)
    with pytest.raises(UserError, match=r"Cannot download org\.example:missing:1\.0"):
        ensure((jar,), cache, repository.url, ignore)


@pytest.mark.usefixtures("_impatient")
def test_a_cold_start_without_network_says_what_it_needs(cache: Path) -> None:
    jar = Jar("org.example:one:1.0", "0" * 64, 1)
    with pytest.raises(UserError, match="The first start needs the network"):
        ensure((jar,), cache, "http://127.0.0.1:1", ignore)


def test_what_an_interrupted_fetch_left_is_not_taken_for_the_file(repository: Repository, cache: Path) -> None:
    jar = repository.publish("org.example:one:1.0")
    left = cache / ".fetching" / jar.path
    left.parent.mkdir(parents=True)
    left.write_bytes(_CONTENT[:100])
    ensure((jar,), cache, repository.url, ignore)
    assert (cache / jar.path).read_bytes() == _CONTENT
    assert not (cache / ".fetching").exists()


def test_an_interrupt_ends_the_download(repository: Repository, cache: Path) -> None:
    wanted = tuple(repository.publish(f"org.example:jar{number}:1.0") for number in range(20))

    def interrupt(_: Event) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ensure(wanted, cache, repository.url, interrupt)
    assert list(cache.rglob("*.jar")) == []


@pytest.mark.parametrize("name", ROOTS)
def test_each_lock_holds_its_roots_at_the_pinned_version(name: str) -> None:
    lock = pinned(name)
    assert set(ROOTS[name]) <= {jar.coordinates for jar in lock}
    assert all(len(bytes.fromhex(jar.sha256)) == 32 and jar.size > 0 for jar in lock)
    assert any(f":{VERSIONS[name.removesuffix('-netty')]}" in jar.coordinates for jar in lock)


def test_no_class_path_has_two_versions_of_a_library() -> None:
    for names in (("kafka",), ("elasticsearch", "elasticsearch-netty")):
        libraries = [jar.coordinates.rsplit(":", 1)[0] for name in names for jar in pinned(name)]
        assert len(libraries) == len(set(libraries))
