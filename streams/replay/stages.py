"""The join and the sinks of a job as processes beside the copier, each of which ends when it is through."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Self

from tracelink.errors import UserError

_LAST_LINES = 15
_STOP_SECONDS = 15.0


class Stages:
    """Processes of `tracelink … --replay JOB`, their output in a folder that stays where one has failed.

    A context manager that ends those that still run, by SIGTERM and at last by SIGKILL.
    """

    def __init__(self, job: str, commands: Iterable[tuple[str, ...]], environment: Mapping[str, str]) -> None:
        self._folder = Path(mkdtemp(prefix=f"tracelink-replay-{job}-"))
        self._environment = os.environ | {"PYTHONUNBUFFERED": "1"} | {**environment}
        self._commands = [(*command, "--replay", job, "--http-port", "0") for command in commands]
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._failed = False

    def __enter__(self) -> Self:
        for command in self._commands:
            name = "-".join(command[: command.index("--replay")])
            with self._log(name).open("wb") as output:
                self._processes[name] = subprocess.Popen(  # noqa: S603 - our own command
                    [
                        sys.executable, "-P", "-m", "pipeline.local.tether", str(os.getpid()),
                        sys.executable, "-P", "-m", "pipeline.cli", *command,
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=self._environment,
                    start_new_session=True,
                )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        living = [process for process in self._processes.values() if process.poll() is None]
        for process in living:
            process.terminate()
        deadline = time.monotonic() + _STOP_SECONDS
        for process in living:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            if process.poll() is None:
                process.kill()
                process.wait()
        if not self._failed:
            shutil.rmtree(self._folder, ignore_errors=True)

    def are_through(self) -> bool:
        """Tell whether all have ended; raises UserError where one has failed."""
        for name, process in self._processes.items():
            code = process.poll()
            if code:
                self._failed = True
                lines = self._log(name).read_text("utf-8", errors="replace").splitlines()[-_LAST_LINES:]
                said = "\n".join(f"  {line}" for line in lines)
                command = name.replace("-", " ")
                raise UserError(f"tracelink {command} ended with exit code {code}, see {self._log(name)}:\n{said}")
        return all(process.poll() == 0 for process in self._processes.values())

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"
