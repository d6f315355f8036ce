"""A real Alertmanager for tests: found, or fetched into the user's cache, and run in a directory of its own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest
import urllib3

from pipeline.local.paths import default_cache
from pipeline.local.ports import free_port
from tests.kit.http import http_request
from tests.kit.http_stub import Request, stub
from tests.kit.waiting import wait_for

VARIABLE = "TRACELINK_TEST_ALERTMANAGER"
_PACKAGE = "prometheus-alertmanager"
_MODULE = "github.com/prometheus/alertmanager/cmd/alertmanager@v0.28.1"
_SHARE = b"/usr/share/prometheus"
_FETCH_SECONDS = 300
_READY_SECONDS = 20
_CONFIG = """\
route:
  receiver: test
  group_by: [fingerprint]
  group_wait: 0s
  group_interval: 100ms
  repeat_interval: 1h
receivers:
  - name: test
    webhook_configs:
      - url: {url}
        send_resolved: true
"""


@dataclass(frozen=True, slots=True)
class Running:
    """A running Alertmanager, and what it has sent to its receiver so far."""

    url: str
    notified: list[dict[str, Any]] = field(default_factory=list)
    """One for each notification, as Alertmanager posts it."""

    def alerts(self, fingerprint: str) -> list[dict[str, Any]]:
        """Return the alerts of a problem that it holds as active."""
        query = {"filter": f'fingerprint="{fingerprint}"'}
        found: list[dict[str, Any]] = http_request("GET", f"{self.url}/api/v2/alerts", fields=query).json()
        return found

    def statuses(self, fingerprint: str) -> list[str]:
        """Return the status of each notification of a problem's group, in their order."""
        return [one["status"] for one in self.notified if one["groupLabels"].get("fingerprint") == fingerprint]


@contextmanager
def serving(directory: Path, config: Path) -> Iterator[str]:
    """Run one under a configuration while the context lasts; gives its URL."""
    binary, port, log = find(), free_port(), directory / "log"
    command = [
        str(binary),
        f"--config.file={config}",
        f"--storage.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    share = binary.parent / "share"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, cwd=share if share.exists() else directory
        )
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        assert process.poll() is None, f"it ended with {process.returncode}: {log.read_text()}"
        try:
            return http_request("GET", f"{url}/-/ready", retries=False, timeout=2).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    try:
        wait_for(f"{url}/-/ready of {binary}", ready, seconds=_READY_SECONDS)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


@contextmanager
def alertmanager(directory: Path) -> Iterator[Running]:
    """Run one that notifies of every alert while the context lasts."""
    notified: list[dict[str, Any]] = []

    def take(request: Request) -> tuple[int, object]:
        notified.append(orjson.loads(request.body))
        return 200, ""

    with stub(take) as receiver:
        config = directory / "alertmanager.yml"
        config.write_text(_CONFIG.format(url=receiver))
        with serving(directory, config) as url:
            yield Running(url, notified)


def find() -> Path:
    """Return its executable: the one that is named, one that is installed, one in the cache, or else fetch it."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    installed = shutil.which(_PACKAGE) or shutil.which("alertmanager")
    if installed:
        return Path(installed)
    cached = default_cache().parent / "alertmanager"
    if not cached.exists():
        cached.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cached.parent) as scratch:
            made = Path(scratch) / "made"
            made.mkdir()
            _fetch(Path(scratch), made)
            # Another run may do the same meanwhile, and be first.
            with suppress(OSError):
                made.rename(cached)
    return cached / "alertmanager"


def _fetch(scratch: Path, made: Path) -> None:
    """Put the executable, and what it needs beside itself, into the directory `made`."""
    tried: list[str] = []
    if shutil.which("apt-get") and shutil.which("dpkg-deb"):
        download = ["apt-get", "-o", "APT::Sandbox::User=root", "download", _PACKAGE]
        done = _run(download, scratch, tried)
        if not done and os.geteuid() == 0:
            done = _run(["apt-get", "update"], scratch, tried) and _run(download, scratch, tried)
        packages = sorted(scratch.glob(f"{_PACKAGE}_*.deb"))
        if done and packages and _run(["dpkg-deb", "-x", str(packages[0]), "unpacked"], scratch, tried):
            _take_from_package(scratch / "unpacked", made)
            return
    if shutil.which("go") and _run(["go", "install", _MODULE], scratch, tried, GOBIN=str(made)):
        return
    pytest.fail(
        f"There is no Alertmanager, and none could be fetched. Install the package {_PACKAGE}, or Alertmanager's own "
        f"binary on PATH or named by {VARIABLE}. Tried:\n" + ("\n".join(tried) or "neither apt-get nor go is there"),
        pytrace=False,
    )


def _take_from_package(unpacked: Path, made: Path) -> None:
    """Make what Debian's package has run without being installed: it looks for its templates at a fixed place."""
    binary = (unpacked / "usr" / "bin" / _PACKAGE).read_bytes()
    # As long as it was: the place becomes the working directory.
    here = b"." + b"/" * (len(_SHARE) - 1)
    executable = made / "alertmanager"
    executable.write_bytes(binary.replace(_SHARE, here))
    executable.chmod(0o755)
    templates = made / "share" / "alertmanager"
    templates.mkdir(parents=True)
    for template in unpacked.glob(f"{_SHARE.decode()[1:]}/alertmanager/*.tmpl"):
        shutil.copy(template, templates)


def _run(command: list[str], directory: Path, tried: list[str], **variables: str) -> bool:
    """Run a command that fetches; note what it says where it fails."""
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env=os.environ | variables,
            capture_output=True,
            text=True,
            timeout=_FETCH_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        tried.append(f"{' '.join(command)}: {error}")
        return False
    if done.returncode != 0:
        tried.append(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")
    return done.returncode == 0
