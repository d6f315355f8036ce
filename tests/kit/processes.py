"""Our own processes, as a user starts them."""

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from pipeline.runtime.child import Child, begin_log
from tests.kit.forked import Forked
from tests.kit.waiting import wait_for

# A forked process cannot be found by its environment, and these start others, which have to be found.
_OF_THEIR_OWN = ("demo", "up")


def clean_environment() -> dict[str, str]:
    """Return our environment without settings of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TRACELINK_")}


class Process:
    """A running `tracelink …`, its log in a file."""

    def __init__(self, arguments: list[str], log: Path, environment: dict[str, str]) -> None:
        self.log = log
        begin_log(log)
        environment = clean_environment() | environment
        self._process: Child | Forked
        if arguments[0] in _OF_THEIR_OWN:
            self._process = Child([sys.executable, "-m", "pipeline.cli", *arguments], log, environment)
        else:
            self._process = Forked(arguments, log, environment)

    def wait_until_ready(self) -> str:
        """Return the base URL of its metrics and health, once it says that it is ready."""
        url = wait_for(f"its address in {self.log}", self._url) or ""
        wait_for(f"{url}/readyz; its log: {self.output()}", lambda: ready(url))
        return url

    def stop(self, number: signal.Signals = signal.SIGTERM, *, seconds: float = 15) -> int:
        """Send a signal; return the exit code."""
        self._process.send_signal(number)
        return self.wait(seconds=seconds)

    def wait(self, *, seconds: float = 30) -> int:
        """Return the exit code, once it has ended by itself."""
        return self._process.wait(seconds)

    def kill(self) -> None:
        self._process.kill()

    def output(self) -> str:
        return self.log.read_text()

    def _url(self) -> str | None:
        assert self._process.poll() is None, f"it ended with {self._process.returncode}: {self.output()}"
        return url_in(self.output())


def url_in(log: str) -> str | None:
    """Return the base URL of metrics and health that a process has written into its log."""
    found = re.search(r"metrics and health on (\S+)", log)
    return found.group(1) if found else None


def ready(url: str) -> bool:
    """Tell whether a process says that it is ready."""
    try:
        with urlopen(f"{url}/readyz", timeout=5) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except OSError:
        return False


def metrics(url: str) -> dict[str, float]:
    """Read a process's metrics: samples under their names with labels, as they are printed."""
    with urlopen(f"{url}/metrics", timeout=5) as answer:  # noqa: S310 - our own address
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def total(samples: dict[str, float], name: str, **labels: str) -> float:
    """Return the sum of a metric over the samples that have these labels."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return sum(
        value
        for sample, value in samples.items()
        if sample.partition("{")[0] == name and all(one in sample for one in wanted)
    )


@contextmanager
def running(*arguments: str, log: Path, **environment: str) -> Iterator[Process]:
    """Run `tracelink ARGUMENTS` while the context lasts."""
    process = Process(list(arguments), log, environment)
    try:
        yield process
    finally:
        process.kill()
