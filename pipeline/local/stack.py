"""The stack: starts the servers together, finds them again, and stops them."""

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

# In the order of starting: the slowest first, so that the others' preparation goes on beside it.
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
    """Where clients find the servers; empty for one that is not part of the stack."""

    kafka: str = ""
    zipkin: str = ""
    elasticsearch: str = ""


State = Literal["up", "not answering", "died", "stopped"]


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """How a server is; what a server that does not run has not is None."""

    server: str
    state: State
    log: str
    pid: int | None = None
    port: int | None = None
    url: str | None = None
    memory_bytes: int | None = None
    uptime_seconds: float | None = None


class Stack:
    """The servers of one directory, which holds their state, data and logs.

    `only` names the servers to start (Zipkin brings Elasticsearch along); `repository` is the URL of a Maven repository
    that stands in for the public one. As a context manager it starts the servers and stops them at the end.
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
        # Ours to wait for when they end; those of an earlier command are not.
        self._children: dict[str, Child] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def on_known_ports(self) -> "Stack":
        """Return these servers, each to be brought back on no port but the one that it had."""
        known = copy(self)
        known._ports = _USUAL_PORTS  # noqa: SLF001 - our own class
        return known

    def start(self, listener: Listener = ignore, *, fresh: bool = False) -> Endpoints:
        """Start what does not run yet, wait until everything answers, and say where.

        With `fresh`, the servers are stopped first and their data removed. When it raises, UserError or other, the
        servers that this call has started are stopped again. The servers outlive this process.
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
                    raise UserError(f"{server.name} ended while it started. {self._log_tail(server.name)}")
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
        # Before the start, so that even a kill in the middle of it leaves a mark to find the process by.
        self._remember(server.name, record)
        child = self._children[server.name] = process.spawn(launch, self._log(server.name), self.directory)
        self._remember(server.name, replace(record, pid=child.pid))
        return psutil.Process(child.pid)

    def stop(self, listener: Listener = ignore) -> list[str]:
        """Stop every server of the directory, and name those that ran."""
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
                # By its handle: a process that has just been started may not show its mark yet.
                stop([child], _STOP_SECONDS)
                stopped.append(name)
            elif living := process.find(records[name]):
                process.stop(living, _STOP_SECONDS)
                stopped.append(name)
        # Not before all are stopped: a full disk, which may be why we stop, fails the writing.
        state.write(self.directory, {name: record for name, record in records.items() if name not in names})
        return stopped

    def purge(self) -> None:
        """Stop every server, and remove the data, the logs and the downloaded jars."""
        with self._changing():
            self._stop(SERVERS)
            for name in SERVERS:  # and nothing else: the directory may hold what is not ours
                _remove(self.directory / "data" / name)
                for log in (self.directory / "logs").glob(f"{name}.log*"):
                    log.unlink()
            with state.locked(self._cache.parent):
                _remove(self._cache)

    def missing(self) -> dict[str, State]:
        """Tell which of the servers do not run, and whether they died or were stopped."""
        records = state.read(self.directory)
        return {
            server.name: "died" if server.name in records else "stopped"
            for server in self._servers
            if server.name not in records or process.find(records[server.name]) is None
        }

    def how_it_ended(self, name: str) -> str:
        """Say how a server that died has ended, as far as its log and its exit code tell; begins with a space."""
        if found := _OUT_OF_MEMORY.search("\n".join(self._last_lines(name))):
            what = f" ({found[1]})" if found[1] else ""
            return f" out of memory{what}: TRACELINK_STACK_{name.upper()}_HEAP sets how much it has"
        code = self._children[name].poll() if name in self._children else None
        return "" if code is None else f" {how_ended(code)}"

    def status(self) -> list[ServerStatus]:
        """Ask each server how it is."""
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
        """Keep other commands out; a disk that is full, or files that are not ours, are the user's to mend."""
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
        # Where Java's exceptions came from is longer than what they say.
        return [line for line in text.splitlines() if not line.lstrip().startswith("at ")][-_LOG_LINES:]


def _remove(folder: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)
