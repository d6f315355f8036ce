"""Detached processes: start, lookup by their mark, stop with all their children."""

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
# No other variables: the KAFKA_BOOTSTRAP_SERVERS of a user's services would start Zipkin's own consumer, and
# JAVA_TOOL_OPTIONS would change all servers.
_INHERITED = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "TMPDIR", "TZ", "USER")


def spawn(launch: Launch, log: Path, directory: Path) -> Child:
    """Start a process that outlives this one, with few of our environment variables; its output goes to a new `log`."""
    begin_log(log)
    inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
    return Child(launch.command, log, {**inherited, **launch.environment}, directory=directory)


def find(record: Record) -> psutil.Process | None:
    """Return the running process of a record, or None.

    It is identified by the mark in its command line: the process id may have been reused, and the start time depends on
    the wall clock, which may have been set since.
    """
    if record.pid is not None:
        candidates: Iterator[psutil.Process] = _by_pid(record.pid)
    else:
        candidates = psutil.process_iter()
    for process in candidates:
        # A process that is gone or a zombie has no command line.
        with suppress(psutil.Error):
            if record.mark in process.cmdline():
                return process
    return None


def _by_pid(pid: int) -> Iterator[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        yield psutil.Process(pid)


def is_alive(process: psutil.Process) -> bool:
    """Return True if the process still runs and is not a zombie."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def stop(process: psutil.Process, seconds: float) -> None:
    """Stop a process by SIGTERM; if it still runs after that many seconds, kill its process group."""
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
