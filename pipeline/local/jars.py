"""The servers' jars: their lock files, the download into the cache, the check of their hashes."""

import hashlib
import shutil
import threading
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from tenacity import (
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_attempt,
    stop_any,
    stop_when_event_set,
    wait_exponential,
)

from pipeline.local.events import Downloading, Listener
from pipeline.local.state import locked
from tracelink.errors import UserError

if TYPE_CHECKING:
    from jgo.maven import Artifact

_PARALLEL_DOWNLOADS = 8
_ATTEMPTS = 3
# Without a byte; also the longest time that Ctrl-C takes during a download.
_TIMEOUT_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Jar:
    """One pinned file of a Maven repository; `coordinates` are group:artifact:version[:classifier], `size` in bytes."""

    coordinates: str
    sha256: str
    size: int

    @property
    def path(self) -> Path:
        """The path of the file in a repository and in our cache."""
        group, artifact, version, *classifier = self.coordinates.split(":")
        return Path(*group.split("."), artifact, version, "-".join([artifact, version, *classifier]) + ".jar")


def pinned(name: str) -> tuple[Jar, ...]:
    """Read a server's lock file by name, e.g. `kafka`."""
    return of_lock(files("pipeline.local").joinpath("locks", f"{name}.toml").read_text("utf-8"))


def of_lock(text: str) -> tuple[Jar, ...]:
    """Return the jars of a lock file's text."""
    return tuple(Jar(**jar) for jar in tomllib.loads(text)["jar"])


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def ensure(jars: tuple[Jar, ...], cache: Path, repository: str | None, listener: Listener) -> None:
    """Download the jars that the cache lacks, and verify all jars against their lock.

    With a full cache there are no requests. `repository` is the URL of a Maven repository to use instead of the public
    one. Raises UserError if a file's hash differs, or if a file cannot be downloaded.
    """
    with locked(cache.parent, listener):
        missing = tuple(jar for jar in jars if not (cache / jar.path).exists())
        for jar in jars:
            if jar not in missing:
                _verify(
                    jar, cache / jar.path, "Delete that file, or run `tracelink stack down --purge`, and start again."
                )
        if missing:
            _fetch(missing, cache, repository, listener)


def _verify(jar: Jar, path: Path, remedy: str) -> None:
    if (actual := sha256(path)) != jar.sha256:
        raise UserError(f"{path} does not match its lock: its SHA-256 is {actual}, expected {jar.sha256}. {remedy}")


class _Cancelled(Exception):
    """The download was cancelled."""


class _Meter:
    """Counts the downloaded files and bytes of all threads, and notifies the listener."""

    def __init__(self, jars: tuple[Jar, ...], listener: Listener) -> None:
        self._files, self._bytes = len(jars), sum(jar.size for jar in jars)
        self._files_done = self._bytes_done = 0
        self._listener = listener
        self._lock = threading.Lock()
        self.cancelled = threading.Event()

    def add(self, name: str, *, size: int = 0, files: int = 0) -> None:
        if self.cancelled.is_set():
            raise _Cancelled
        with self._lock:
            self._bytes_done += size
            self._files_done += files
            self._listener(Downloading(name, self._files_done, self._files, self._bytes_done, self._bytes))

    @contextmanager
    def watch(self, filename: str, _size: int) -> Iterator[Callable[[int], None]]:
        """Implement jgo's progress callback."""
        counted = 0

        def update(count: int) -> None:
            nonlocal counted
            counted += count
            self.add(filename, size=count)

        try:
            yield update
        except BaseException:
            with self._lock:
                self._bytes_done -= counted
            raise


def _fetch(jars: tuple[Jar, ...], cache: Path, repository: str | None, listener: Listener) -> None:
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415 - slow to import, and of an extra

    meter = _Meter(jars, listener)
    # In the cache's file system, so that moving a file into the cache is atomic.
    staging = cache / ".fetching"
    shutil.rmtree(staging, ignore_errors=True)
    maven = MavenContext(
        resolver=PythonResolver(progress_callback=meter.watch),
        repo_cache=staging,
        remote_repos={"repository": repository} if repository else None,
        timeout=_TIMEOUT_SECONDS,
    )

    def fetch(jar: Jar) -> None:
        group, name, version, *classifier = jar.coordinates.split(":")
        artifact = maven.project(group, name).at_version(version).artifact(*classifier)
        path = _download(artifact, jar, staging, meter.cancelled)
        _verify(jar, path, "The repository or a proxy sent another file: see --maven-repository.")
        target = cache / jar.path
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
        meter.add(path.name, files=1)

    pool = ThreadPoolExecutor(_PARALLEL_DOWNLOADS, thread_name_prefix="fetch")
    try:
        # Largest first, so that the longest download does not start last.
        futures = [pool.submit(fetch, jar) for jar in sorted(jars, key=lambda jar: -jar.size)]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
    finally:
        meter.cancelled.set()
        pool.shutdown(cancel_futures=True)
        shutil.rmtree(staging, ignore_errors=True)


def _download(artifact: "Artifact", jar: Jar, staging: Path, cancelled: threading.Event) -> Path:
    """Download into the staging folder; repeat if the network or the repository fails."""
    import requests  # noqa: PLC0415 - jgo's HTTP client, of an extra

    def attempt() -> Path:
        # jgo would take the rest of an interrupted attempt for the whole file.
        (staging / jar.path).unlink(missing_ok=True)
        return artifact.resolve()

    # jgo raises RuntimeError for every status but 200.
    failures = (requests.RequestException, RuntimeError)
    retrying = Retrying(
        retry=retry_if_exception_type(failures),
        stop=stop_any(stop_after_attempt(_ATTEMPTS), stop_when_event_set(cancelled)),
        sleep=sleep_using_event(cancelled),
        wait=wait_exponential(max=5),
        reraise=True,
    )
    try:
        return retrying(attempt)
    except failures as error:
        raise UserError(
            f"Cannot download {jar.coordinates}: {error}. The first start needs the network (set HTTPS_PROXY or "
            f"TRACELINK_STACK_MAVEN_REPOSITORY if necessary); later starts use the cache."
        ) from error
