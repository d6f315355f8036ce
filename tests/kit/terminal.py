"""A terminal to run our commands in, with keys to press and a window to close."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from tests.kit.processes import clean_environment
from tests.kit.waiting import wait_for

# The first terminal that the leader of a new session opens is its own.
_LEADER = """
import os, sys
terminal = os.open(sys.argv[1], os.O_RDWR)
for standard in (0, 1, 2):
    os.dup2(terminal, standard)
os.execv(sys.executable, [sys.executable, "-m", "pipeline.cli", *sys.argv[2:]])
"""


class Terminal:
    """A `tracelink …` that runs in a terminal of its own, and what it has written there."""

    def __init__(self, arguments: tuple[str, ...], environment: Mapping[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        os.set_blocking(self._ours, False)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _LEADER, os.ttyname(theirs), *arguments],
            env=clean_environment() | {"TERM": "xterm", "COLUMNS": "160", "LINES": "40", **environment},
            start_new_session=True,
        )
        self._theirs: int | None = theirs
        self._written = bytearray()

    def text(self) -> str:
        """Return all that was written up to now."""
        # Nothing to read is an error to a terminal, and so is that nobody has it open any more.
        with suppress(OSError):
            while data := os.read(self._ours, 65536):
                self._written += data
        return self._written.decode(errors="replace")

    def press(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def close(self) -> None:
        """Close the window."""
        for descriptor in (self._ours, self._theirs):
            if descriptor is not None:
                with suppress(OSError):
                    os.close(descriptor)
        self._theirs = None

    def wait(self) -> int:
        """Return the exit code, once it has ended."""

        def ended() -> bool:
            self.text()
            return self.process.poll() is not None

        wait_for("the end of the process", ended)
        return self.process.wait()


@contextmanager
def in_terminal(*arguments: str, **environment: str) -> Iterator[Terminal]:
    """Run `tracelink ARGUMENTS` in a terminal while the context lasts."""
    terminal = Terminal(arguments, environment)
    try:
        yield terminal
    finally:
        terminal.process.kill()
        terminal.process.wait(10)
        terminal.close()
