"""The stack: start, lookup and stop of the servers."""

import re
import shutil
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

import psutil

from pipeline.local import jars, process, state
from pipeline.local.elasticsearch import ELASTICSEARCH
from pipeline.local.events import Listener, Ready, Starting, ignore
from pipeline.local.kafka import KAFKA
from pipeline.local.paths import default_cache
from pipeline.local.ports import Ports, choose, refuse_others
from pipeline.local.server import LaunchContext, Server
from pipeline.local.state import Record
from pipeline.local.zipkin import ZIPKIN
from pipeline.runtime.child import how_ended, stop
from pipeline.runtime.signals import undisturbed
from tracelink.errors import UserError

if TYPE_CHECKING:
    from pipeline.runtime.child import Child

# In the order of their start: the slowest first, while the others are prepared.
SERVERS = {server.name: server for server in (ELASTICSEARCH, KAFKA, ZIPKIN)}
_STOP_ORDER = ("zipkin", "elasticsearch", "kafka")

_USUAL_PORTS = Ports()
_START_SECONDS = 180.0
_STOP_SECONDS = 30.0
_POLL_SECONDS = 0.1
_LOG_LINES = 15
_OUT_OF_MEMORY = re.compile(r"java\.lang\.OutOfMemoryError(?:: (.+))?")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The addresses of the servers for clients; empty for one that is not part of the stack."""

    kafka: str = ""
    zipkin: str = ""
    elasticsearch: str = ""


State = Literal["up", "not answering", "died", "stopped"]


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """The state of a server; the optional fields are None if it does not run."""

    server: str
    state: State
    log: str
    pid: int | None = None
    port: int | None = None
    url: str | None = None
    memory_bytes: int | None = None
    uptime_seconds: float | None = None


class Stack:
    """The servers of one directory, which has their state, data and logs.

    `only` names the servers to start (Zipkin includes Elasticsearch); `repository` is the URL of a Maven repository to
    use instead of the public one. As a context manager it starts the servers and stops them at the end.
    """

    def __init__(
        self,
        directory: Path,
        *,
        ports: Ports = _USUAL_PORTS,
        only: Collection[str] = tuple(SERVERS),
        cache: Path | None = None,
        repository: str | None = None,
    ) -> None:
        self.directory = directory.absolute()
        self._ports = ports
        needed = {need for name in only for need in SERVERS[name].needs}
        self._servers = [server for name, server in SERVERS.items() if name in {*only, *needed}]
        self._cache = (cache or default_cache()).absolute()
        self._repository = repository
        # Our child processes, for which we must wait; servers of an earlier command are not among them.
        self._children: dict[str, Child] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def on_known_ports(self) -> "Stack":
        """Return a stack of these servers that restarts each on the port that it had."""
        known = copy(self)
        known._ports = _USUAL_PORTS  # noqa: SLF001 - our own class
        return known

    def start(self, listener: Listener = ignore, *, fresh: bool = False) -> Endpoints:
        """Start the servers that do not run, wait until all are ready, and return their addresses.

        With `fresh`, the servers are stopped first and their data is deleted. If it raises, UserError or another error,
        the servers that this call started are stopped again. The servers outlive this process.
        """
        with self._changing(listener):
            known = state.read(self.directory)
            if fresh:
                self._forget_data()
            self._start(known, listener)
            return self._endpoints()

    def _start(self, known: dict[str, Record], listener: Listener) -> None:
        records = state.read(self.directory)
        found = {server.name: process.find(records[server.name]) for server in self._servers if server.name in records}
        running = {name: living for name, living in found.items() if living}
        missing = [server for server in self._servers if server.name not in running]
        refuse_others([SERVERS[name] for name in running], self._ports, records)
        chosen = choose(missing, self._ports, known)
        locks = {lock: jars.pinned(lock) for server in missing for lock in server.locks}
        jars.ensure(tuple(jar for lock in locks.values() for jar in lock), self._cache, self._repository, listener)
        paths = {name: tuple(self._cache / jar.path for jar in lock) for name, lock in locks.items()}
        try:
            self._bring_up(running, chosen, paths, listener)
        except BaseException:
            with undisturbed():
                self._stop([server.name for server in missing])
            raise

    def _bring_up(
        self,
        running: dict[str, psutil.Process],
        chosen: dict[str, int],
        paths: dict[str, tuple[Path, ...]],
        listener: Listener,
    ) -> None:
        begun = time.monotonic()
        started = dict.fromkeys(running, begun)
        ready: set[str] = set()
        while waiting := [server for server in self._servers if server.name not in ready]:
            for server in waiting:
                if server.name not in started:
                    if ready.issuperset(server.needs):
                        started[server.name] = time.monotonic()
                        running[server.name] = self._spawn(server, chosen[server.name], paths)
                        listener(Starting(server.name))
                elif not process.is_alive(running[server.name]):
                    raise UserError(f"{server.name} ended during its start. {self._log_tail(server.name)}")
                elif server.ready(state.read(self.directory)[server.name].port):
                    ready.add(server.name)
                    seconds = time.monotonic() - started[server.name] if server.name in chosen else 0.0
                    listener(Ready(server.name, seconds))
                elif time.monotonic() - begun > _START_SECONDS:
                    raise UserError(
                        f"{server.name} runs but does not answer after {_START_SECONDS:.0f} s; "
                        f"try `tracelink stack down` and start again. {self._log_tail(server.name)}"
                    )
            time.sleep(_POLL_SECONDS)

    def _spawn(self, server: Server, port: int, paths: dict[str, tuple[Path, ...]]) -> psutil.Process:
        data = self.directory / "data" / server.name
        data.mkdir(parents=True, exist_ok=True)
        record = Record(mark=f"-Dtracelink.stack={uuid.uuid4()}", port=port)
        urls = {name: SERVERS[name].url(known.port) for name, known in state.read(self.directory).items()}
        launch = server.launch(LaunchContext(data, port, paths, urls, record.mark))
        if died := self._children.pop(server.name, None):
            died.wait()
        # Recorded before the start, so that the process can be found by its mark even if we are killed meanwhile.
        self._remember(server.name, record)
        child = self._children[server.name] = process.spawn(launch, self._log(server.name), self.directory)
        self._remember(server.name, replace(record, pid=child.pid))
        return psutil.Process(child.pid)

    def stop(self, listener: Listener = ignore) -> list[str]:
        """Stop all servers of the directory; return the names of those that ran."""
        with self._changing(listener):
            return self._stop(SERVERS)

    def _stop(self, names: Collection[str]) -> list[str]:
        records = state.read(self.directory)
        stopped = []
        for name in _STOP_ORDER:
            if name not in names or name not in records:
                continue
            child = self._children.pop(name, None)
            if child is not None and child.poll() is None:
                # By its handle: a new process may not show its mark yet.
                stop([child], _STOP_SECONDS)
                stopped.append(name)
            elif living := process.find(records[name]):
                process.stop(living, _STOP_SECONDS)
                stopped.append(name)
        # After all are stopped, because writing fails on a full disk, which may be the reason of the stop.
        state.write(self.directory, {name: record for name, record in records.items() if name not in names})
        return stopped

    def purge(self) -> None:
        """Stop all servers, and delete the data, the logs and the downloaded jars."""
        with self._changing():
            self._stop(SERVERS)
            for name in SERVERS:  # nothing else: the directory may hold other files
                _remove(self.directory / "data" / name)
                for log in (self.directory / "logs").glob(f"{name}.log*"):
                    log.unlink()
            with state.locked(self._cache.parent):
                _remove(self._cache)

    def missing(self) -> dict[str, State]:
        """Return the servers that do not run, with their states: died or stopped."""
        records = state.read(self.directory)
        return {
            server.name: "died" if server.name in records else "stopped"
            for server in self._servers
            if server.name not in records or process.find(records[server.name]) is None
        }

    def how_it_ended(self, name: str) -> str:
        """Return how a server that died has ended, from its log and its exit code; begins with a space, or is empty."""
        if found := _OUT_OF_MEMORY.search("\n".join(self._last_lines(name))):
            what = f" ({found[1]})" if found[1] else ""
            return f" out of memory{what}: TRACELINK_STACK_{name.upper()}_HEAP sets its heap size"
        code = self._children[name].poll() if name in self._children else None
        return "" if code is None else f" {how_ended(code)}"

    def status(self) -> list[ServerStatus]:
        """Return the state of each server."""
        records = state.read(self.directory)
        return [self._status(server, records.get(server.name)) for server in SERVERS.values()]

    def _status(self, server: Server, record: Record | None) -> ServerStatus:
        log = str(self._log(server.name))
        if record is None:
            return ServerStatus(server.name, "stopped", log)
        living = process.find(record)
        if living is None:
            return ServerStatus(server.name, "died", log, port=record.port)
        try:
            memory, created = living.memory_info().rss, living.create_time()
        except psutil.NoSuchProcess:
            return ServerStatus(server.name, "died", log, port=record.port)
        return ServerStatus(
            server.name,
            "up" if server.ready(record.port) else "not answering",
            log,
            pid=living.pid,
            port=record.port,
            url=server.url(record.port),
            memory_bytes=memory,
            uptime_seconds=round(max(0.0, time.time() - created), 1),
        )

    @contextmanager
    def _changing(self, listener: Listener = ignore) -> Iterator[None]:
        """Lock the directory; raise UserError for a full disk or missing permissions."""
        try:
            with state.locked(self.directory, listener):
                yield
        except OSError as error:
            where = error.filename or self.directory
            raise UserError(f"The stack cannot use {where}: {error.strerror or error}. See --dir.") from error

    def _forget_data(self) -> None:
        names = [server.name for server in self._servers]
        self._stop(names)
        for name in names:
            _remove(self.directory / "data" / name)

    def _endpoints(self) -> Endpoints:
        records = state.read(self.directory)
        return Endpoints(**{server.name: server.url(records[server.name].port) for server in self._servers})

    def _remember(self, name: str, record: Record) -> None:
        state.write(self.directory, state.read(self.directory) | {name: record})

    def _log(self, name: str) -> Path:
        return self.directory / "logs" / f"{name}.log"

    def _log_tail(self, name: str) -> str:
        return "\n".join([f"The end of {self._log(name)}:", *(f"  {line}" for line in self._last_lines(name))])

    def _last_lines(self, name: str) -> list[str]:
        text = self._log(name).read_text("utf-8", errors="replace")
        # Without the stack traces of Java's exceptions, which would hide the messages.
        return [line for line in text.splitlines() if not line.lstrip().startswith("at ")][-_LOG_LINES:]


def _remove(folder: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)
