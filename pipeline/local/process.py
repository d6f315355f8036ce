"""Detached processes: started, found again by their mark, and stopped with all they started."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from pipeline.local.server import Launch
from pipeline.local.state import Record
from pipeline.runtime.child import Child, begin_log

_POLL_SECONDS = 0.05
# Nothing else: a KAFKA_BOOTSTRAP_SERVERS that is meant for the user's services would start Zipkin's own consumer, and
# JAVA_TOOL_OPTIONS would change all the servers.
_INHERITED = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "TMPDIR", "TZ", "USER")


def spawn(launch: Launch, log: Path, directory: Path) -> Child:
    """Start a process that outlives this one, with little of our environment; its output is in a new `log`."""
    begin_log(log)
    inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
    return Child(launch.command, log, {**inherited, **launch.environment}, directory=directory)


def find(record: Record) -> psutil.Process | None:
    """Find the living process of a record.

    A process id alone may belong to another process by now, and a start time is reckoned from the wall clock, which
    may have been set since; the mark in the command line is neither.
    """
    if record.pid is not None:
        candidates: Iterator[psutil.Process] = _by_pid(record.pid)
    else:
        candidates = psutil.process_iter()
    for process in candidates:
        # A process that is gone has no command line, nor one that ended and was not waited for.
        with suppress(psutil.Error):
            if record.mark in process.cmdline():
                return process
    return None


def _by_pid(pid: int) -> Iterator[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        yield psutil.Process(pid)


def is_alive(process: psutil.Process) -> bool:
    """Say whether the process still runs: not ended, not waiting for its parent to notice that it ended."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def stop(process: psutil.Process, seconds: float) -> None:
    """End a process by SIGTERM, and if it still runs after that many seconds, kill it and its group."""
    with suppress(psutil.NoSuchProcess):
        process.terminate()
    deadline = time.monotonic() + seconds
    while is_alive(process) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    if is_alive(process):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        while is_alive(process):
            time.sleep(_POLL_SECONDS)
