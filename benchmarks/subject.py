"""A process that is measured: started, watched from outside while it works, and stopped."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import psutil
import urllib3

from benchmarks.result import Row
from pipeline.runtime.child import Child, stop
from tracelink.errors import UserError

T = TypeVar("T")

_EVERY = 0.2
_READY_SECONDS = 60.0
_STOP_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The state of a process at one time: monotonic seconds, and records and CPU seconds (of all threads) so far."""

    at: float
    done: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Pace:
    """Speed and cost of a process between two samples."""

    records_per_second: float
    cpu_us: float
    """CPU microseconds a record."""
    cores: float
    """CPU seconds a second."""


class Subject:
    """A running process of ours or of a peer; its output is in a file."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str], cores: Sequence[int]) -> None:
        self._log = log
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRACELINK_")}
        self._process = Child(command, log, {**inherited, **environment})
        self._seen = psutil.Process(self._process.pid)
        if cores:
            self._seen.cpu_affinity(list(cores))
        self._pool = urllib3.PoolManager(retries=False, timeout=10.0)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def output(self) -> str:
        """Return its output so far."""
        return self._log.read_text(errors="replace")

    def cpu(self) -> float:
        """Return the CPU seconds that all its threads have used."""
        times = self._seen.cpu_times()
        return float(times.user + times.system)

    def peak_mib(self) -> float:
        """Return its peak of resident memory."""
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        return int(found.group(1)) / 1024 if found else 0.0

    def url(self) -> str:
        """Wait until one of our own processes logs its address, and return the address of its metrics."""
        return wait_for("its address", lambda: self._matched(r"metrics and health on (\S+)"), self)

    def metrics(self, url: str) -> dict[str, float]:
        """Read the metrics at an address, summed over their labels."""
        found: dict[str, float] = {}
        text = self._pool.request("GET", f"{url}/metrics").data.decode()
        for name, value in re.findall(r"^(\w+)(?:\{.*\})? (\S+)", text, re.MULTILINE):
            found[name] = found.get(name, 0.0) + float(value)
        return found

    def metric(self, url: str, name: str) -> float:
        """Read one of these metrics; 0 if nothing was counted yet."""
        return self.metrics(url).get(name, 0.0)

    def printed(self) -> float:
        """Return the last number that it printed on a line of its own: the progress of a peer."""
        with self._log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 200))
            whole, _, _ = file.read().rpartition(b"\n")
        lines = [line for line in whole.splitlines() if line.isdigit()]
        return float(lines[-1]) if lines else 0.0

    def follow(self, done: Callable[[], float], records: float, *, patience: float = 300.0) -> list[Sample]:
        """Sample it until `records` are done. Raises UserError if it ends or takes longer than `patience` seconds."""
        samples: list[Sample] = []
        deadline = time.monotonic() + patience
        while True:
            self.require_alive()
            samples.append(Sample(time.monotonic(), done(), self.cpu()))
            if samples[-1].done >= records:
                return samples
            if time.monotonic() > deadline:
                raise UserError(f"only {samples[-1].done:,.0f} of {records:,.0f} records after {patience:.0f} s")
            time.sleep(_EVERY)

    def require_alive(self) -> None:
        """Raise UserError, with the end of its output, if it has ended."""
        if self._process.poll() is not None:
            raise UserError(f"{self._process.args!r} ended with {self._process.returncode}:\n{self.output()[-2000:]}")

    def wait(self, seconds: float = 600.0) -> float:
        """Wait until it ends by itself; returns its peak memory in MiB. Raises UserError if it fails."""
        deadline, peak = time.monotonic() + seconds, 0.0
        while self._process.poll() is None:
            if time.monotonic() > deadline:
                raise UserError(f"{self._process.args!r} has not ended after {seconds:.0f} s")
            with suppress(OSError):  # it has ended meanwhile
                peak = max(peak, self.peak_mib())
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_EVERY)
        if self._process.returncode:
            self.require_alive()
        return peak

    def kill(self) -> None:
        """Kill it as a crash would."""
        self._process.kill()

    def stop(self) -> None:
        """Stop it with SIGTERM, and kill it if it does not end in time."""
        stop([self._process], _STOP_SECONDS)

    def _matched(self, pattern: str) -> str | None:
        found = re.search(pattern, self.output())
        return found.group(1) if found else None


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str] | None = None, *, cores: Sequence[int] = ()
) -> Iterator[Subject]:
    """Run a process for as long as the block lasts; `cores` pins it."""
    with TemporaryDirectory(prefix="bench-") as folder:
        subject = Subject(command, Path(folder) / "log", environment or {}, cores)
        try:
            yield subject
        finally:
            subject.stop()


def tracelink(*arguments: str) -> list[str]:
    """Return the command line of a process of ours."""
    return [sys.executable, "-m", "pipeline.cli", *arguments]


def peer(name: str, *arguments: str) -> list[str]:
    """Return the command line of a peer that is a Python program."""
    return [sys.executable, "-m", f"benchmarks.peers.{name}", *arguments]


def pace(samples: Sequence[Sample], *, since: float, until: float) -> Pace:
    """Return the pace between the first sample with more than `since` records and the last with at most `until`.

    If progress comes in steps, the pace is measured from step to step, so that no step counts half.
    """
    leaps = [
        sample for before, sample in pairwise(samples) if sample.done > before.done and since < sample.done <= until
    ]
    if len(leaps) < 2:  # noqa: PLR2004 - a beginning and an end
        raise UserError("The load is too small for this machine: it was done within a sample or two.")
    return between(leaps[0], leaps[-1])


def between(first: Sample, last: Sample) -> Pace:
    """Return the pace between two samples."""
    records, seconds, cpu = last.done - first.done, last.at - first.at, last.cpu - first.cpu
    if not records:
        raise UserError("No record was done meanwhile.")
    return Pace(records / seconds, cpu / records * 1e6, cpu / seconds)


def measured(name: str, found: Pace, subject: Subject, note: str | None = None) -> Row:
    """Return the row of a process, with its memory until now; by default the note is the number of cores used."""
    shown = f"{found.cores:.2f} cores" if note is None else note
    return Row(name, found.records_per_second, found.cpu_us, subject.peak_mib(), note=shown)


def wait_for(what: str, probe: Callable[[], T | None], subject: Subject, *, seconds: float = _READY_SECONDS) -> T:
    """Wait until the probe returns a result, and return it. Raises UserError if the process ends or time runs out."""
    deadline = time.monotonic() + seconds
    while not (found := probe()):
        subject.require_alive()
        if time.monotonic() > deadline:
            raise UserError(f"waited {seconds:.0f} s for {what}:\n{subject.output()[-2000:]}")
        time.sleep(0.05)
    return found
