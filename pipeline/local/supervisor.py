"""Keeps processes running: starts them, restarts one that ends, and stops all of them in good order."""

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
"""Takes the name of a program, and a line about it or of it."""


@dataclass(frozen=True, slots=True)
class Program:
    """A process to keep running; `environment` is added to our own, `descriptors` are handed on to it.

    It answers `GET {url}/readyz` with 200 once it does its work, ends on SIGTERM, and opens no session of its own.
    """

    name: str
    command: tuple[str, ...]
    url: str
    environment: Mapping[str, str] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Restarts:
    """How long to wait before a restart, in seconds, and when to give up.

    The waits double from `first` to `longest` while the process ends within `soon` of its start; the `attempts`-th such
    end in a row is the last.
    """

    first: float = 0.5
    longest: float = 30.0
    soon: float = 60.0
    attempts: int = 6

    def wait(self, early_ends: int) -> float | None:
        """Return the wait after so many early ends in a row, or None to give up."""
        if early_ends >= self.attempts:
            return None
        return float(min(self.longest, self.first * 2 ** max(0, early_ends - 1)))


def ignore(_name: str, _line: str) -> None:
    """Tell nobody."""


class Supervisor:
    """Runs programs, each with its output in a file of the folder `logs`.

    `echo` gets each line that a program writes, `notice` what the supervisor itself has to say. All is done by the
    thread that calls, which must be the main thread: the programs end with the thread that started them.
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
        """Start every program; UserError where a log cannot be written."""
        for one in self._supervised:
            one.open()
            one.start(time.monotonic())

    def tick(self) -> None:
        """Pass on new lines, and restart what has ended and waited; to be called several times a second.

        Raises UserError, with the end of its log, where a program ends again and again.
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
            raise UserError(f"{name} ended {one.early_ends} times in a row, at last {how}. {one.last_lines()}")
        one.restart_at = now + wait
        self._notice(name, f"ended {how}; it starts again in {wait:g} s")

    def wait_until_ready(self, stop: Event, seconds: float = 60.0) -> bool:
        """Wait until every program says that it is ready; False where we were told to stop before.

        Raises UserError with a program's own reason where it is not ready in time, or as `tick` does.
        """
        deadline = time.monotonic() + seconds
        waiting = list(self._supervised)
        while not stop.is_set():
            self.tick()
            why = self._not_ready(waiting[0]) if waiting else None
            if why is None:
                # One that is ready and fails later is `tick`'s affair.
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
        """End all by SIGTERM, and kill what still runs after so many seconds; later calls do nothing."""
        processes = {one.process: one for one in self._supervised if one.process is not None}
        for process in stop(processes, seconds, self._pass_on):
            self._notice(processes[process].program.name, f"still runs {seconds:g} s after SIGTERM, and is killed")
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
        """Begin a new log; that of the run before stays as `.1`."""
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
        """Echo the lines that are new in the log."""
        if self._reader is None:
            return
        *lines, self._rest = (self._rest + self._reader.read()).split(b"\n")
        for line in lines:
            self._echo(self.program.name, line.decode(errors="replace"))

    def close(self) -> None:
        """Echo what is left, and let go of the log."""
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


def _heard_or_not(tell: OnLine) -> OnLine:
    """Go on where nobody listens any more: a terminal that has closed must not keep us from ending what runs."""

    def say(name: str, line: str) -> None:
        with suppress(OSError):
            tell(name, line)

    return say
