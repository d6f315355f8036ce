"""Who may see the page: a token, a proxy that knows its users, or anybody on this machine."""

import hmac
from hashlib import sha256
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import Request

from sinks.base.networks import networks_of
from sinks.page.settings import PageSettings

COOKIE = "tracelink_page"
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Access:
    """Decides if a request may see the page.

    The cookie is a digest of the token: a new token ends all sessions. Without a token and a proxy, the page listens on
    this machine only, and the request must name it: a page of another site whose name leads here is refused.
    """

    def __init__(self, settings: PageSettings) -> None:
        token = settings.page_token
        self._token = None if token is None else token.get_secret_value().encode()
        self._header = settings.page_user_header
        self._proxies = networks_of(settings.page_proxies)
        own = urlsplit(settings.page_url).hostname if settings.page_url else None
        self._hosts = _LOOPBACK_NAMES | {settings.address.host} | ({own} if own else set())

    @property
    def asks_for_token(self) -> bool:
        """True if a person can give a token."""
        return self._token is not None

    def allows(self, request: Request) -> bool:
        """Return True if the request may see the page."""
        if self._token is None and self._header is None:
            return _named(request) in self._hosts
        return self._is_of_proxy(request) or self._has_cookie(request)

    def cookie(self, token: str) -> str | None:
        """Return the value of the cookie if the token is right, else None."""
        if self._token is None or not hmac.compare_digest(_digest(token.encode()), _digest(self._token)):
            return None
        return _digest(self._token)

    def _has_cookie(self, request: Request) -> bool:
        given = request.cookies.get(COOKIE, "")
        return self._token is not None and hmac.compare_digest(given.encode(), _digest(self._token).encode())

    def _is_of_proxy(self, request: Request) -> bool:
        if self._header is None or request.client is None or not request.headers.get(self._header):
            return False
        try:
            address = ip_address(request.client.host)
        except ValueError:
            return False
        # As a socket for both kinds of addresses spells those of the older kind.
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._proxies)


def _named(request: Request) -> str | None:
    """Return the host that a request names, without its port."""
    try:
        return urlsplit(f"//{request.headers.get('host', '')}").hostname
    except ValueError:
        return None


def _digest(token: bytes) -> str:
    return sha256(b"tracelink page\n" + token).hexdigest()
