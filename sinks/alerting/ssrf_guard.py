"""The SSRF guard: checks the address of each connection after name resolution, without a second look-up.

A third party may control the host name that an operator configures: it may resolve to an internal address, perhaps only
sometimes (DNS rebinding). So the guard connects to the very address that it has checked.
"""

import http.client
import re
import socket
import time
from collections.abc import Sequence
from concurrent.futures import TimeoutError as Late
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from threading import Lock
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from sinks.base.background import start
from sinks.base.contract import Refused
from tracelink.errors import Unavailable, UserError

Network = IPv4Network | IPv6Network

_CONNECT_SECONDS = 5.0
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_ODD = re.compile(r"[\x00-\x20\x7f\\]")
_NAT64 = IPv6Network("64:ff9b::/96")
# Not public either, but not known as such in every version of the standard library: protocol assignments, 6to4 relays,
# local NAT64, 6to4, documentation.
_NOT_PUBLIC = tuple(map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48", "2002::/16", "3fff::/20")))


@dataclass(frozen=True, slots=True)
class Target:
    """A URL, parsed once, so that the guard, TLS and the connection all use the same host."""

    scheme: str
    host: str
    """Lower case and ASCII, without brackets and without a dot at the end."""
    port: int
    path: str = field(repr=False)
    """Includes the query, begins with a slash; may be a secret."""

    @property
    def where(self) -> str:
        """The URL without path and query, which may be secrets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"http": 80, "https": 443}[self.scheme]
        return f"{self.scheme}://{host}" + (f":{self.port}" if self.port != usual else "")


def target(url: str, setting: str) -> Target:
    """Parse a URL; raises UserError, which names the setting and does not show the URL."""
    wrong = f"{setting} is not a valid URL: it must be http://HOST[:PORT][/PATH], or https."
    try:
        parts = parse_url(url)
    except LocationParseError:
        raise UserError(wrong) from None
    if _ODD.search(url) or parts.scheme not in {"http", "https"} or not parts.host or parts.port == 0:
        raise UserError(wrong)
    if parts.auth is not None:
        raise UserError(f"{setting} contains a user or password: send them as a header instead.")
    host = _host(parts.host)
    if host is None:
        raise UserError(wrong)
    return Target(parts.scheme, host, parts.port or {"http": 80, "https": 443}[parts.scheme], parts.request_uri)


def host_of(text: str) -> str | None:
    """Return a name or an address in the form of `Target.host`, or None if it is neither."""
    try:
        parts = parse_url(f"http://[{text}]" if ":" in text and "[" not in text else f"http://{text}")
    except LocationParseError:
        return None
    plain = not (parts.port or parts.auth or parts.path or parts.query or parts.fragment)
    return _host(parts.host) if plain and parts.host else None


def _host(host: str) -> str | None:
    bare = host.strip("[]").removesuffix(".")
    if _NAME.fullmatch(bare):
        return bare
    try:
        return None if "%" in bare else str(IPv6Address(bare))
    except ValueError:
        return None


def is_allowed(address: str, networks: Sequence[Network]) -> bool:
    """Return True if an IP address is public or in one of the networks, and so is each address embedded in it."""
    given = ip_address(address)
    return all(_is_public(one) or any(one in network for network in networks) for one in _reached(given))


def _reached(given: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """Return the addresses that packets to this address may reach."""
    if isinstance(given, IPv6Address):
        if given.ipv4_mapped is not None:
            return [given.ipv4_mapped]
        # In a network without IPv4, name servers return public IPv4 addresses in this form.
        if given in _NAT64:
            return [IPv4Address(int(given) & 0xFFFF_FFFF)]
        if given.sixtofour is not None:
            return [given, given.sixtofour]
    return [given]


def _is_public(one: IPv4Address | IPv6Address) -> bool:
    odd = one.is_multicast or one.is_reserved or one.is_unspecified or one.is_loopback or one.is_link_local
    site_local = isinstance(one, IPv6Address) and one.is_site_local
    return one.is_global and not odd and not site_local and not any(one in network for network in _NOT_PUBLIC)


@dataclass(frozen=True, slots=True)
class SsrfGuard:
    """Allows connections to certain hosts, at public addresses and in certain networks."""

    hosts: frozenset[str]
    networks: tuple[Network, ...] = ()

    def admit(self, target: Target) -> None:
        """Raise UserError if the host is not allowed."""
        if target.host not in self.hosts:
            raise UserError(f"Alerts may not be sent to {target.host}: TRACELINK_ALLOW_HOSTS does not include it.")

    def connect(self, target: Target, until: float) -> socket.socket:
        """Resolve, check and connect, until `until` on the monotonic clock; raises Unavailable or Refused."""
        self.admit(target)
        found = _resolve(target, until)
        # The resolver also expands short forms of addresses (`127.1`, `0x7f000001`).
        allowed = [one for one in found if is_allowed(str(one[4][0]), self.networks)]
        if not allowed:
            addresses = ", ".join(sorted({str(one[4][0]) for one in found}))
            raise Refused(
                f"{target.host} resolves to {addresses}, which is not public. To allow it, add its network to "
                "TRACELINK_ALLOW_NETWORKS."
            )
        why = "no time left"
        for family, kind, protocol, _, address in allowed:
            left = until - time.monotonic()
            if left <= 0:
                break
            line = socket.socket(family, kind, protocol)
            try:
                line.settimeout(min(_CONNECT_SECONDS, left))
                line.connect(address)
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                line.settimeout(max(0.001, until - time.monotonic()))
            except OSError as error:
                line.close()
                why = str(error)
            else:
                return line
        raise Unavailable(f"Cannot connect to {target.where}: {why}")


def _resolve(target: Target, until: float) -> list[Any]:
    # The resolver has timeouts of its own, which cannot be shortened.
    answer = start(lambda: socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM))
    try:
        return answer.result(max(0.0, until - time.monotonic()))
    except Late:
        raise Unavailable(f"Cannot resolve {target.host} in time") from None
    except OSError as error:
        raise Unavailable(f"Cannot resolve {target.host}: {error}") from None


class _Answer(http.client.HTTPResponse):
    """A response without header defects: urllib3 would log them together with the path, which may be a secret."""

    def begin(self) -> None:
        super().begin()
        self.msg.set_payload("")
        self.msg.defects.clear()


class _Pinned:
    """A connection that the guard opens, and that another thread can shut down."""

    response_class: type[http.client.HTTPResponse] = _Answer

    def pin(self, guard: SsrfGuard, target: Target, until: float) -> None:
        """Set the guard, the target and the deadline (monotonic) of the connection."""
        self._guard, self._target, self._until = guard, target, until
        self._lock = Lock()
        self._handle: socket.socket | None = None
        self.hung_up = False

    def _new_conn(self) -> socket.socket:
        line = self._guard.connect(self._target, self._until)
        with self._lock:
            # TLS takes over the socket; a second handle stays valid for the same connection.
            self._handle = line.dup()
        return line

    def hang_up(self) -> None:
        """Shut the connection down, even during a read or write."""
        with self._lock:
            self.hung_up = True
            if self._handle is not None:
                try:
                    self._handle.shutdown(socket.SHUT_RDWR)
                except OSError:
                    """The peer has closed it already."""

    def let_go(self) -> None:
        """Close the second handle."""
        with self._lock:
            if self._handle is not None:
                self._handle.close()
                self._handle = None


class PlainConnection(_Pinned, HTTPConnection):
    """A pinned connection without TLS."""


class TlsConnection(_Pinned, HTTPSConnection):
    """A pinned connection with TLS; the certificate is verified for the host name, not the address."""
