"""The join and the sinks of a job, as processes beside the copier; each ends when it has drained its input."""

import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Self

from pipeline.runtime.child import Child, last_lines, stop
from pipeline.runtime.die_with_parent import dying_with_us
from tracelink.errors import UserError

_STOP_SECONDS = 15.0


class Stages:
    """Processes `tracelink … --replay JOB`; their logs are in a folder that is kept if one has failed.

    A context manager that ends the remaining processes, by SIGTERM and then by SIGKILL.
    """

    def __init__(self, job: str, commands: Iterable[tuple[str, ...]], environment: Mapping[str, str]) -> None:
        self._folder = Path(mkdtemp(prefix=f"tracelink-replay-{job}-"))
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1", **environment}
        self._commands = [(*command, "--replay", job, "--http-port", "0") for command in commands]
        self._processes: dict[str, Child] = {}
        self._failed = False

    def __enter__(self) -> Self:
        for command in self._commands:
            name = "-".join(command[: command.index("--replay")])
            command_line = (sys.executable, "-P", "-m", "pipeline.cli", *command)
            self._processes[name] = Child(dying_with_us(command_line), self._log(name), self._environment)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        stop(self._processes.values(), _STOP_SECONDS)
        if not self._failed:
            shutil.rmtree(self._folder, ignore_errors=True)

    def are_drained(self) -> bool:
        """Return True if all have ended; raises UserError if one has failed."""
        for name, process in self._processes.items():
            code, log = process.poll(), self._log(name)
            if code:
                self._failed = True
                command = name.replace("-", " ")
                raise UserError(f"tracelink {command} ended with exit code {code}, see {log}:\n{last_lines(log)}")
        return all(process.poll() == 0 for process in self._processes.values())

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"
