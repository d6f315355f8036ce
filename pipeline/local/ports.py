"""Which port each server gets: the one asked for, the one it had, the usual one, or any free one."""

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipeline.local.server import HOST, Server
from pipeline.local.state import Record
from tracelink.errors import UserError


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports asked for: 0 is any free one, None the one the server has or had, or else the usual one."""

    kafka: int | None = None
    zipkin: int | None = None
    elasticsearch: int | None = None

    def of(self, server: Server) -> int | None:
        """Look up what was asked for a server."""
        port: int | None = getattr(self, server.name)
        return port


def choose(servers: Iterable[Server], ports: Ports, records: Mapping[str, Record]) -> dict[str, int]:
    """Choose the ports of servers that are to start; UserError where one is taken or asked for twice."""
    chosen: dict[str, int] = {}
    for server in servers:
        asked = ports.of(server)
        if asked is None:
            # One that died comes back where its clients look for it.
            asked = records[server.name].port if server.name in records else server.default_port
        if asked and asked in chosen.values():
            raise UserError(f"Port {asked} is asked for twice. Choose another for {server.name} with {server.flag}.")
        if asked and not is_free(asked):
            raise UserError(
                f"Port {asked}, for {server.name}, is taken by another process. "
                f"Choose another with {server.flag} (0: any free one)."
            )
        chosen[server.name] = asked or free_port()
    return chosen


def refuse_others(running: Iterable[Server], ports: Ports, records: Mapping[str, Record]) -> None:
    """Raise UserError if a running server is asked for on another port."""
    for server in running:
        asked, port = ports.of(server), records[server.name].port
        if asked and asked != port:
            raise UserError(
                f"{server.name} runs already, on port {port} and not {asked} ({server.flag}). "
                f"Stop it first: tracelink stack down"
            )


def free_port() -> int:
    """Ask the system for a port that nobody uses at the moment."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Tell whether a server could listen on a port of this machine; UserError where only the administrator may."""
    with socket.socket() as listener:
        # As the servers do: a connection of an earlier run that lingers does not count.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except PermissionError:
            raise UserError(f"Port {port} is reserved to the administrator. Choose one from 1024 up.") from None
        except OSError:
            return False
        return True
