"""A child process with its log: started, and ended by SIGTERM and at last by SIGKILL."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_POLL_SECONDS = 0.05
_LAST_LINES = 15


class Child(subprocess.Popen[bytes]):
    """A process in a session of its own, so that a Ctrl-C in our terminal does not reach it.

    Its output goes to the end of the file `log`; `environment` is all that it gets, `descriptors` are handed on to it.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        *,
        directory: Path | None = None,
        descriptors: tuple[int, ...] = (),
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            super().__init__(
                command,
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=directory,
                env=environment,
                pass_fds=descriptors,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill it with what it has started, unless it has ended, and wait for its end."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self.wait()


def stop(children: Iterable[Child], seconds: float, meanwhile: Callable[[], object] = lambda: None) -> list[Child]:
    """End processes by SIGTERM; those that still run after so many seconds are killed, and returned.

    `meanwhile` is called several times a second while they are waited for.
    """
    living = [child for child in children if child.poll() is None]
    for child in living:
        child.terminate()
    deadline = time.monotonic() + seconds
    while (living := [child for child in living if child.poll() is None]) and time.monotonic() < deadline:
        meanwhile()
        time.sleep(_POLL_SECONDS)
    for child in living:
        child.kill()
    return living


def how_ended(code: int) -> str:
    """Say with which exit code, or by which signal, a process ended."""
    return f"with exit code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"


def begin_log(log: Path) -> None:
    """Begin a new log; that of the run before stays as `.1`. Raises OSError."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_name(f"{log.name}.1"))
    log.touch()


def last_lines(log: Path) -> str:
    """Return the end of a log, its lines indented, for a message."""
    lines = log.read_text("utf-8", errors="replace").splitlines()[-_LAST_LINES:]
    return "\n".join(f"  {line}" for line in lines)
