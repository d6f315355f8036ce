"""A worker or a sink as a process that can be stopped, killed and started again, at a moment or at a named point."""

import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import Literal

import psutil

from pipeline.failpoints import Failpoint
from pipeline.runtime import child as started
from tests.kit.forked import Forked
from tests.kit.processes import clean_environment, metrics, ready, url_in
from tests.kit.waiting import wait_for

_ROOT = Path(__file__).parents[2]
_START_SECONDS = 60.0


class _Started(started.Child):
    """A process that was not forked."""

    def __init__(self, arguments: tuple[str, ...], log: Path, environment: dict[str, str]) -> None:
        command = [sys.executable, "-m", "tests.kit.launch", *arguments]
        super().__init__(command, log, environment, directory=_ROOT, stdin=subprocess.PIPE)

    def order(self, line: str) -> None:
        assert self.stdin
        self.stdin.write(f"{line}\n".encode())
        self.stdin.flush()

    def close(self) -> None:
        assert self.stdin
        with suppress(BrokenPipeError):
            self.stdin.close()


class Child:
    """One `tracelink …` and its successors, whose logs lie one after another in the same folder.

    They are forked, unless a start is to take as long as that of a user's.
    """

    def __init__(
        self,
        name: str,
        arguments: tuple[str, ...],
        environment: dict[str, str],
        folder: Path,
        *,
        forked: bool = True,
    ) -> None:
        self.name = name
        self._forked = forked
        self.ends: list[int] = []
        """Exit codes so far; a signal's is negative."""
        self._arguments = arguments
        self._environment = environment
        self._folder = folder
        self._starts = 0
        self._process: Forked | _Started | None = None
        # The supervisor and whoever causes a fault look after it from two threads.
        self._lock = RLock()

    @property
    def started(self) -> bool:
        """Tell whether it was ever started."""
        return self._starts > 0

    @property
    def log(self) -> Path:
        return self._folder / f"{self.name}.{self._starts}.log"

    @property
    def running(self) -> bool:
        """Tell whether it runs; one that ended by itself is noted."""
        with self._lock:
            if self._process is None:
                return False
            code = self._process.poll()
            if code is None:
                return True
            self.ends.append(code)
            self._process.close()
            self._process = None
            return False

    def start(self, point: Failpoint | None = None) -> None:
        """Start it, or start it again; with a point, it kills itself there."""
        with self._lock:
            if self.running:
                return
            self._starts += 1
            started.begin_log(self.log)
            environment = clean_environment() | self._environment
            if self._forked:
                self._process = Forked(self._arguments, self.log, environment, obeying=True)
            else:
                self._process = _Started(self._arguments, self.log, environment)
            if point is not None:
                self.order(point, "KILL")

    def order(self, point: Failpoint, what: Literal["KILL", "STOP", "HANG"]) -> None:
        """Have it send itself a signal when it next comes to a point, or have the thread that comes there hang."""
        with self._lock:
            assert self._process
            self._process.order(f"{point} {what}")

    def send(self, number: signal.Signals) -> None:
        with self._lock:
            if self.running and self._process:
                self._process.send_signal(number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        assert self.wait(10), f"{self.name} outlives kill -9"

    def wait(self, seconds: float) -> bool:
        """Wait for the end of the process that runs now, and note it; False where it did not come."""
        process = self._process
        if process is None:
            return True
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        # The supervisor may have started the next one already.
        return not self.running or self._process is not process

    def wait_until_stopped(self, seconds: float) -> bool:
        """Wait until it has stopped itself; False where it did not."""
        process = psutil.Process(self._process.pid) if self._process else None
        deadline = time.monotonic() + seconds
        while process and process.is_running() and time.monotonic() < deadline:
            if process.status() == psutil.STATUS_STOPPED:
                return True
            time.sleep(0.01)
        return False

    def wait_until_ready(self) -> None:
        def is_ready() -> bool:
            url = url_in(self.output()) if self.running else None
            return url is not None and ready(url)

        wait_for(f"{self.name} to be ready; see {self.log}", is_ready, seconds=_START_SECONDS)

    def metrics(self) -> dict[str, float]:
        """Read its metrics; none where it does not answer."""
        url = url_in(self.output())
        try:
            return metrics(url) if url and self.running else {}
        except OSError:
            return {}

    def output(self) -> str:
        return self.log.read_text() if self.log.exists() else ""
