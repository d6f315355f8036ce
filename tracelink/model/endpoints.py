"""The remote endpoint of a span, by OpenTelemetry's mapping to Zipkin."""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, ip_address

from tracelink.model.records import Endpoint

# Attributes that name the other side, in order of precedence; each with the attribute of its port.
_CALLED = (
    ("peer.service", None),
    ("server.address", "server.port"),
    ("net.peer.name", "net.peer.port"),
    ("network.peer.address", "network.peer.port"),
    ("server.socket.domain", None),
    ("server.socket.address", "server.socket.port"),
    ("net.sock.peer.name", "net.sock.peer.port"),
    ("net.sock.peer.addr", "net.sock.peer.port"),
    ("peer.hostname", None),
    ("peer.address", None),
    ("db.name", None),
)
# On a server span, `server.address` is the server itself: only these name its caller.
_CALLER = (
    ("peer.service", None),
    ("network.peer.address", "network.peer.port"),
    ("net.sock.peer.addr", "net.sock.peer.port"),
)
_MAX_PORT = 65535
# A longer text is no address, and would fill the cache.
_LONGEST = 256


def remote_endpoint(kind: str | None, attributes: Mapping[str, object]) -> Endpoint | None:
    """Return the other side of a span of this Zipkin kind, or None if its attributes do not name it."""
    if kind is None:
        return None
    for name, port_name in _CALLER if kind == "SERVER" else _CALLED:
        value = attributes.get(name)
        if value and isinstance(value, str):
            endpoint = _endpoint(value) if len(value) <= _LONGEST else {"serviceName": value}
            port = attributes.get(port_name) if port_name else None
            return {**endpoint, "port": port} if type(port) is int and 0 < port <= _MAX_PORT else endpoint
    return None


@lru_cache(maxsize=4096)
def _endpoint(name: str) -> Endpoint:
    """Return the endpoint of a service name or an IP address."""
    try:
        address = ip_address(name)
    except ValueError:
        return {"serviceName": name}
    return {"ipv4": name} if isinstance(address, IPv4Address) else {"ipv6": name}
