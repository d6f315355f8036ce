"""Child processes with a log file; stopped by SIGTERM, then by SIGKILL."""

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
    """A process in its own session, so that Ctrl-C in our terminal does not reach it.

    Its output is appended to the file `log`. `environment` is its whole environment; it inherits `descriptors`.
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
        """Kill its process group, unless it has ended, and wait for its end."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self.wait()


def stop(children: Iterable[Child], seconds: float, meanwhile: Callable[[], object] = lambda: None) -> list[Child]:
    """Stop processes by SIGTERM; kill those that still run after so many seconds, and return them.

    `meanwhile` is called several times a second during the wait.
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
    """Return the exit code or the signal of an ended process, in words."""
    return f"with exit code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"


def begin_log(log: Path) -> None:
    """Begin a new log; the log of the previous run is kept as `.1`. Raises OSError."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_name(f"{log.name}.1"))
    log.touch()


def last_lines(log: Path) -> str:
    """Return the last lines of a log, indented, for a message."""
    lines = log.read_text("utf-8", errors="replace").splitlines()[-_LAST_LINES:]
    return "\n".join(f"  {line}" for line in lines)
