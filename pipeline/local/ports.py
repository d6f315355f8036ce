"""The port of each server: the requested one, the one it had, the default, or any free one."""

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipeline.local.server import HOST, Server
from pipeline.local.state import Record
from tracelink.errors import UserError


@dataclass(frozen=True, slots=True)
class Ports:
    """The requested ports: 0 is any free one; None is the port that the server has or had, or else the default."""

    kafka: int | None = None
    zipkin: int | None = None
    elasticsearch: int | None = None

    def of(self, server: Server) -> int | None:
        """Return the requested port of a server."""
        port: int | None = getattr(self, server.name)
        return port


def choose(servers: Iterable[Server], ports: Ports, records: Mapping[str, Record]) -> dict[str, int]:
    """Choose the ports of servers to start; raises UserError if one is taken or requested twice."""
    chosen: dict[str, int] = {}
    for server in servers:
        asked = ports.of(server)
        if asked is None:
            # A server that died gets its old port, which its clients know.
            asked = records[server.name].port if server.name in records else server.default_port
        if asked and asked in chosen.values():
            raise UserError(f"Port {asked} is requested twice. Choose another for {server.name} with {server.flag}.")
        if asked and not is_free(asked):
            raise UserError(
                f"Port {asked}, for {server.name}, is taken by another process. "
                f"Choose another with {server.flag} (0: any free one)."
            )
        chosen[server.name] = asked or free_port()
    return chosen


def refuse_others(running: Iterable[Server], ports: Ports, records: Mapping[str, Record]) -> None:
    """Raise UserError if another port is requested for a running server."""
    for server in running:
        asked, port = ports.of(server), records[server.name].port
        if asked and asked != port:
            raise UserError(
                f"{server.name} is already running, on port {port} and not {asked} ({server.flag}). "
                f"Stop it first: tracelink stack down"
            )


def free_port() -> int:
    """Return a port that is free at the moment."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Return True if a server could listen on this port; raises UserError if that needs root."""
    with socket.socket() as listener:
        # As the servers do: lingering connections of an earlier run do not block the port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except PermissionError:
            raise UserError(f"Port {port} requires root. Choose a port from 1024 up.") from None
        except OSError:
            return False
        return True
