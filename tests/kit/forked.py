"""`tracelink …` as a process that is forked where everything is imported already: most of a start is the imports.

Such a process has a session, an environment and a log of its own, as one of `python -m pipeline.cli` has. To the system
its environment and its command line remain those of the process that it was forked from.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from threading import Lock

from pipeline.cli.root import main
from tests.kit import launch

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.kit.preloaded"])
# A start looks how all of them are, and of two threads that look at the same time one would learn nothing.
_LOOKING = Lock()


class Forked:
    """A running `tracelink …`.

    Its output goes to the end of the file `log`; `environment` is all that it gets. With `obeying` it takes orders.
    """

    def __init__(
        self, arguments: Sequence[str], log: Path, environment: Mapping[str, str], *, obeying: bool = False
    ) -> None:
        theirs, self._orders = _CONTEXT.Pipe(duplex=False)
        given = (arguments, log, dict(environment), theirs if obeying else None)
        self._process = _CONTEXT.Process(target=_run, args=given, daemon=True)
        with _LOOKING:
            self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        assert self._process.pid
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def poll(self) -> int | None:
        """Return its exit code, which is negative after a signal; None while it runs."""
        with _LOOKING:
            return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code; subprocess.TimeoutExpired where it does not end in time."""
        wait([self._process.sentinel], timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired("tracelink", timeout or 0.0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it with what it has started, unless it has ended, and wait for its end."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self.wait()
        self.close()

    def order(self, line: str) -> None:
        """Give it an order, as `tests.kit.launch` takes them."""
        self._orders.send(line)

    def close(self) -> None:
        """Give no more orders."""
        self._orders.close()


def _run(
    arguments: Sequence[str], log: Path, environment: Mapping[str, str], orders: "Connection[str, str] | None"
) -> None:
    os.setsid()
    with log.open("ab") as output, Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["tracelink", *arguments]
    if orders:
        # Failpoints are for processes alone that are a launcher of the tests.
        sys.modules["__main__"] = launch
        launch.obey(_each(orders))
    main(prog_name="tracelink")


def _each(orders: "Connection[str, str]") -> Iterator[str]:
    with suppress(EOFError):
        while True:
            yield orders.recv()
