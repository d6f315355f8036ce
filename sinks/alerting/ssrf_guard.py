"""Where a call may go: the address is checked where the connection is made, with no second look-up in between.

An address that an operator configures may be one that somebody else controls: its name may lead into our own networks,
and may do so only sometimes. What is connected to is therefore the very address that was checked.
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
# Not public either, which not every version of the standard library knows: protocols' own, 6to4 and its relays, NAT64
# of one's own, documentation.
_NOT_PUBLIC = tuple(map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48", "2002::/16", "3fff::/20")))


@dataclass(frozen=True, slots=True)
class Target:
    """Where to call, taken apart once: what is checked, named in TLS and connected to is one and the same host."""

    scheme: str
    host: str
    """In lower case and ASCII, without brackets and without a dot at its end."""
    port: int
    path: str = field(repr=False)
    """With the query; begins with a slash. It may be a secret."""

    @property
    def where(self) -> str:
        """Return it as it may be shown: a path may be a secret."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"http": 80, "https": 443}[self.scheme]
        return f"{self.scheme}://{host}" + (f":{self.port}" if self.port != usual else "")


def target(url: str, setting: str) -> Target:
    """Take a URL apart; raises UserError that names the setting and does not show the URL."""
    wrong = f"{setting} is no address: it must be http://HOST[:PORT][/PATH], or https."
    try:
        parts = parse_url(url)
    except LocationParseError:
        raise UserError(wrong) from None
    if _ODD.search(url) or parts.scheme not in {"http", "https"} or not parts.host or parts.port == 0:
        raise UserError(wrong)
    if parts.auth is not None:
        raise UserError(f"{setting} has a user or password in it: send them as a header instead.")
    host = _host(parts.host)
    if host is None:
        raise UserError(wrong)
    return Target(parts.scheme, host, parts.port or {"http": 80, "https": 443}[parts.scheme], parts.request_uri)


def host_of(text: str) -> str | None:
    """Return a name or an address as `Place.host` has it, or None where it is neither."""
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
    """Tell whether an IP address is public or in one of the networks; so must be each that is embedded in it."""
    given = ip_address(address)
    return all(_is_public(one) or any(one in network for network in networks) for one in _reached(given))


def _reached(given: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """Return the addresses that packets to this one may get to."""
    if isinstance(given, IPv6Address):
        if given.ipv4_mapped is not None:
            return [given.ipv4_mapped]
        # Where a network has no IPv4, its name servers give every public IPv4 address in this form.
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
    """Which hosts and which networks may be called."""

    hosts: frozenset[str]
    networks: tuple[Network, ...] = ()

    def admit(self, target: Target) -> None:
        """Raise UserError for a host that is not among those allowed."""
        if target.host not in self.hosts:
            raise UserError(f"{target.host} is not among TRACELINK_ALLOW_HOSTS.")

    def connect(self, target: Target, until: float) -> socket.socket:
        """Resolve, check and connect, until a time of the monotonic clock; raises Unavailable or Refused."""
        self.admit(target)
        found = _resolve(target, until)
        # What is not a full address (`127.1`, `0x7f000001`) is one after it was resolved.
        allowed = [one for one in found if is_allowed(str(one[4][0]), self.networks)]
        if not allowed:
            addresses = ", ".join(sorted({str(one[4][0]) for one in found}))
            raise Refused(
                f"{target.host} is at {addresses}, which is not public: TRACELINK_ALLOW_NETWORKS names the networks "
                "that may be called anyhow."
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
        raise Unavailable(f"{target.where} cannot be connected to: {why}")


def _resolve(target: Target, until: float) -> list[Any]:
    # The resolver has time-outs of its own, which nobody can cut short.
    answer = start(lambda: socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM))
    try:
        return answer.result(max(0.0, until - time.monotonic()))
    except Late:
        raise Unavailable(f"{target.host} is not resolved in time") from None
    except OSError as error:
        raise Unavailable(f"{target.host} cannot be found: {error}") from None


class _Answer(http.client.HTTPResponse):
    """An answer of which urllib3 logs no malformed headers: it would do so with the path."""

    def begin(self) -> None:
        super().begin()
        self.msg.set_payload("")
        self.msg.defects.clear()


class _Pinned:
    """A connection that is made by the guard, and can be hung up from another thread."""

    response_class: type[http.client.HTTPResponse] = _Answer

    def pin(self, guard: SsrfGuard, target: Target, until: float) -> None:
        """Say where to connect to, and until when."""
        self._guard, self._target, self._until = guard, target, until
        self._lock = Lock()
        self._handle: socket.socket | None = None
        self.hung_up = False

    def _new_conn(self) -> socket.socket:
        line = self._guard.connect(self._target, self._until)
        with self._lock:
            # TLS takes the socket over; a second handle is good for the same connection all along.
            self._handle = line.dup()
        return line

    def hang_up(self) -> None:
        """End the connection, whatever is being read or written."""
        with self._lock:
            self.hung_up = True
            if self._handle is not None:
                try:
                    self._handle.shutdown(socket.SHUT_RDWR)
                except OSError:
                    """The other side has ended it already."""

    def let_go(self) -> None:
        """Close the second handle."""
        with self._lock:
            if self._handle is not None:
                self._handle.close()
                self._handle = None


class PlainConnection(_Pinned, HTTPConnection):
    """A pinned connection without TLS."""


class TlsConnection(_Pinned, HTTPSConnection):
    """A pinned connection with TLS, which is verified for the host's name and not for its address."""
