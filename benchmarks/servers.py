"""The servers of the cases: a local stack whose topics are kept from run to run."""

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from pipeline.local.events import ignore
from pipeline.local.ports import Ports
from pipeline.local.stack import Endpoints, Stack

_FREE = Ports(kafka=0, zipkin=0, elasticsearch=0)


@contextmanager
def servers(directory: Path, only: Collection[str], say: Callable[[str], None]) -> Iterator[Endpoints]:
    """Start the servers of a directory, and stop them at the end; their data stays."""
    say(f"starting {' and '.join(only)}")
    # Java's own defaults, as in production: the local stack's are for a short life.
    os.environ["TRACELINK_STACK_JAVA_OPTIONS"] = ""
    stack = Stack(directory, ports=_FREE, only=only)
    endpoints = stack.start(ignore)
    try:
        yield endpoints
    finally:
        stack.stop()


def pin(directory: Path, server: str, cores: Collection[int]) -> None:
    """Pin the server of a directory to these cores: its threads, and those that they start."""
    pid = next(found.pid for found in Stack(directory).status() if found.server == server)
    for thread in psutil.Process(pid).threads():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(thread.id, cores)
