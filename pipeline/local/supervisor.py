"""A supervisor: starts processes, restarts those that end, and stops all."""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from threading import Event
from typing import BinaryIO

import urllib3

from pipeline.runtime.child import Child, begin_log, how_ended, last_lines, stop
from pipeline.runtime.die_with_parent import dying_with_us
from tracelink.errors import UserError

_PROBE_SECONDS = 2.0
_POLL_SECONDS = 0.05

OnLine = Callable[[str, str], None]
"""Called with the name of a program and a line of its output or about it."""


@dataclass(frozen=True, slots=True)
class Program:
    """A process to keep running; `environment` is added to our own, it inherits `descriptors`.

    It answers `GET {url}/readyz` with 200 when it is ready, ends on SIGTERM, and opens no session of its own.
    """

    name: str
    command: tuple[str, ...]
    url: str
    environment: Mapping[str, str] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Restarts:
    """The delays before restarts, in seconds, and the number of attempts.

    The delay doubles from `first` to `longest` while the process ends within `soon` of its start; after `attempts` such
    ends in a row the supervisor gives up.
    """

    first: float = 0.5
    longest: float = 30.0
    soon: float = 60.0
    attempts: int = 6

    def wait(self, early_ends: int) -> float | None:
        """Return the delay after so many early ends in a row, or None to give up."""
        if early_ends >= self.attempts:
            return None
        return float(min(self.longest, self.first * 2 ** max(0, early_ends - 1)))


def ignore(_name: str, _line: str) -> None:
    """Ignore the line."""


class Supervisor:
    """Runs programs, each with its output in a file of the folder `logs`.

    `echo` is called with each line of a program's output, `notice` with messages of the supervisor. Call it from the
    main thread only: the programs end with the thread that started them.
    """

    def __init__(
        self,
        programs: Iterable[Program],
        logs: Path,
        *,
        restarts: Restarts | None = None,
        echo: OnLine = ignore,
        notice: OnLine = ignore,
    ) -> None:
        self._supervised = [
            _Supervised(program, logs / f"{program.name}.log", _heard_or_not(echo)) for program in programs
        ]
        self._restarts = restarts or Restarts()
        self._notice = _heard_or_not(notice)
        self._pool = urllib3.PoolManager(retries=False, timeout=_PROBE_SECONDS)

    def start(self) -> None:
        """Start all programs; raises UserError if a log cannot be written."""
        for one in self._supervised:
            one.open()
            one.start(time.monotonic())

    def tick(self) -> None:
        """Echo new lines, and restart programs that ended, after their delay; call it several times a second.

        Raises UserError, with the last lines of its log, if a program keeps ending.
        """
        now = time.monotonic()
        self._pass_on()
        for one in self._supervised:
            if one.restart_at is not None:
                if now >= one.restart_at:
                    one.start(now)
            elif one.process and (code := one.process.poll()) is not None:
                self._plan_restart(one, code, now)

    def _plan_restart(self, one: "_Supervised", code: int, now: float) -> None:
        one.early_ends = one.early_ends + 1 if now - one.started_at < self._restarts.soon else 0
        wait = self._restarts.wait(one.early_ends)
        name, how = one.program.name, how_ended(code)
        if wait is None:
            raise UserError(f"{name} ended {one.early_ends} times in a row, the last time {how}. {one.last_lines()}")
        one.restart_at = now + wait
        self._notice(name, f"ended {how}; restarting it in {wait:g} s")

    def wait_until_ready(self, stop: Event, seconds: float = 60.0) -> bool:
        """Wait until all programs are ready; return False if `stop` is set before.

        Raises UserError, with the program's own reason, if one is not ready in time, and the errors of `tick`.
        """
        deadline = time.monotonic() + seconds
        waiting = list(self._supervised)
        while not stop.is_set():
            self.tick()
            why = self._not_ready(waiting[0]) if waiting else None
            if why is None:
                # `tick` handles a program that fails after it was ready.
                waiting = waiting[1:]
                if not waiting:
                    return True
            elif time.monotonic() > deadline:
                one = waiting[0]
                raise UserError(f"{one.program.name} is not ready after {seconds:g} s: {why}. {one.last_lines()}")
            else:
                time.sleep(_POLL_SECONDS)
        return False

    def _not_ready(self, one: "_Supervised") -> str | None:
        """Return why a program is not ready, or None."""
        try:
            answer = self._pool.request("GET", f"{one.program.url}/readyz")
        except urllib3.exceptions.HTTPError:
            return f"{one.program.url} does not answer"
        return None if answer.status == HTTPStatus.OK else answer.data.decode(errors="replace").strip()

    def stop(self, seconds: float = 15.0) -> None:
        """Stop all programs by SIGTERM; kill those that still run after so many seconds; later calls do nothing."""
        processes = {one.process: one for one in self._supervised if one.process is not None}
        for process in stop(processes, seconds, self._pass_on):
            self._notice(processes[process].program.name, f"still ran {seconds:g} s after SIGTERM and was killed")
        for one in self._supervised:
            one.close()
        self._pool.clear()

    def _pass_on(self) -> None:
        for one in self._supervised:
            one.pass_on()


class _Supervised:
    """A program, its process while it runs, and its log."""

    def __init__(self, program: Program, log: Path, echo: OnLine) -> None:
        self.program = program
        self.process: Child | None = None
        self.early_ends = 0
        self.started_at = 0.0
        self.restart_at: float | None = None
        self._log = log
        self._echo = echo
        self._reader: BinaryIO | None = None
        self._rest = b""

    def open(self) -> None:
        """Begin a new log; the log of the previous run is kept as `.1`."""
        try:
            begin_log(self._log)
            self._reader = self._log.open("rb")
        except OSError as error:
            raise UserError(f"Cannot write {self._log}: {error.strerror}. See --dir.") from None

    def start(self, now: float) -> None:
        """Start the program; it ends with this process."""
        self.process = Child(
            dying_with_us(self.program.command),
            self._log,
            {**os.environ, "PYTHONUNBUFFERED": "1", **self.program.environment},
            descriptors=self.program.descriptors,
        )
        self.started_at, self.restart_at = now, None

    def pass_on(self) -> None:
        """Echo new lines of the log."""
        if self._reader is None:
            return
        *lines, self._rest = (self._rest + self._reader.read()).split(b"\n")
        for line in lines:
            self._echo(self.program.name, line.decode(errors="replace"))

    def close(self) -> None:
        """Echo the rest of the log, and close it."""
        self.restart_at = None
        self.pass_on()
        if self._rest:
            self._echo(self.program.name, self._rest.decode(errors="replace"))
            self._rest = b""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def last_lines(self) -> str:
        return f"The end of {self._log}:\n{last_lines(self._log)}"


def _heard_or_not(on_line: OnLine) -> OnLine:
    """Ignore errors of a closed terminal, so that all programs are stopped."""

    def say(name: str, line: str) -> None:
        with suppress(OSError):
            on_line(name, line)

    return say
