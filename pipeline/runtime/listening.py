"""The addresses that a server listens on."""

import socket
from ipaddress import ip_address
from typing import NamedTuple

from tracelink.errors import UserError

_MAX_PORT = 65535


class Address(NamedTuple):
    """An address to listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """True if only this machine can connect to it."""
        return ip_address(self.host).is_loopback


def parse_address(text: str) -> Address:
    """Parse IP:PORT; raises ValueError."""
    host, colon, port = text.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and port.isdecimal() and int(port) <= _MAX_PORT):
        raise ValueError(f"{text.strip()!r} is not IP:PORT")
    try:
        return Address(str(ip_address("127.0.0.1" if host == "localhost" else host)), int(port))
    except ValueError:
        raise ValueError(f"{host!r} is not an IP address; for all addresses of this machine write 0.0.0.0") from None


def addresses(text: str) -> str:
    """Return a comma-separated list of IP:PORT unchanged, to validate a setting; raises ValueError."""
    for one in text.split(","):
        parse_address(one)
    return text


def refuse_taken(address: Address, flag: str) -> None:
    """Raise UserError if nothing can listen on an address; `flag` is the one that gives it."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except OSError as error:
            raise UserError(
                f"Cannot listen on {address} ({error.strerror}): choose another address with {flag}."
            ) from None
