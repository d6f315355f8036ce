"""HTTP client for addresses that operators configure: checked by the SSRF guard, paced, and bounded in time and size.

It follows no redirects and uses no proxy from the environment: either would lead to an address that was not checked.
Each request has a connection of its own.
"""

import base64
import html
import http.client
import math
import re
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from threading import Timer
from urllib.parse import unquote, unquote_plus

import urllib3

from pipeline.runtime.http_client import trusting
from sinks.alerting.settings import EgressSettings
from sinks.alerting.ssrf_guard import PlainConnection, SsrfGuard, Target, TlsConnection, host_of, target
from sinks.base.contract import Refused
from sinks.base.metrics import SinkMetrics
from sinks.base.networks import networks_of
from tracelink.errors import InvalidRecord, Reason, Unavailable, UserError

USER_AGENT = f"tracelink/{version('tracelink-pipeline')}"
_MOST_READ = 4096
_LONGEST_PAUSE = 60.0
_BURST_SECONDS = 10
_PER_MINUTE = 60.0
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\xa0-\uffff]+")
_TRY_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_DENIED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED})
_NOT_THERE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.GONE})
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})
_REDACTED = "[redacted]"
_BETWEEN = re.compile(r"[/?&=]+")
_SHORTEST_PART = 6
_LONGEST_RUN = 8
_SCHEMES = frozenset({"bearer", "digest"})
_ESCAPED = re.compile(r"\\u([0-9A-Fa-f]{4})")


class Bucket:
    """Token bucket: limits requests a minute, with bursts of at most ten seconds' worth."""

    def __init__(self, per_minute: int) -> None:
        self._rate = per_minute / _PER_MINUTE
        self._size = max(1.0, float(math.floor(self._rate * _BURST_SECONDS)))
        self._held = self._size
        self._at: float | None = None

    def take(self, now: float) -> float:
        """Take a token and return 0, or take none and return the seconds until there is one."""
        if self._at is not None:
            self._held = min(self._size, self._held + (now - self._at) * self._rate)
        self._at = now
        # A wait of exactly that long may come out slightly too short.
        if self._held >= 1 - 1e-6:
            self._held -= 1
            return 0.0
        return (1 - self._held) / self._rate


@dataclass(frozen=True, slots=True)
class Names:
    """The name of a target and of its settings, for messages."""

    what: str
    url: str
    headers: str
    ca: str


class _Hidden:
    """Redacts secrets of a request that a response may repeat: path, query and values of headers."""

    def __init__(self, path: str, headers: Mapping[str, str]) -> None:
        resource, _, query = path.partition("?")
        found = {path, path.strip("/"), resource, query, *headers.values()}
        parts = {part for one in _BETWEEN.split(path) for part in (one, unquote(one), unquote_plus(one))}
        for value in headers.values():
            found |= _user_and_password(value)
            parts |= {word for word in value.split() if word.lower() not in _SCHEMES}
        found |= {form for one in found for form in (unquote(one), unquote_plus(one))}
        found |= {part for part in parts if len(part) >= _SHORTEST_PART}
        hidden = sorted((one for one in found if _letters(one)), key=len, reverse=True)
        self._exact = re.compile("|".join(map(_literal, hidden)), re.IGNORECASE) if hidden else None
        self._runs = {run for one in hidden for run in _runs(_letters(one))}

    def shown(self, text: str) -> str:
        """Return the beginning of a text with secrets redacted, or only `[redacted]` if it has one in another form."""
        left = self._exact.sub(_REDACTED, text) if self._exact else text
        once = _decoded(left)
        for form in (left, once, _decoded(once)):
            for piece in map(_letters, form.split(_REDACTED)):
                if any(run in piece for run in self._runs):
                    return _REDACTED
        return _printable(left)


def _literal(text: str) -> str:
    """Return a pattern for a text; a short text matches whole words only."""
    if len(text) >= _SHORTEST_PART:
        return re.escape(text)
    before = r"(?<![^\W_])" if text[0].isalnum() else ""
    after = r"(?![^\W_])" if text[-1].isalnum() else ""
    return f"{before}{re.escape(text)}{after}"


def _letters(text: str) -> str:
    """Return the letters and digits of a text: they do not depend on how other characters are escaped."""
    return "".join(filter(str.isalnum, text)).casefold()


def _runs(letters: str) -> set[str]:
    """Return the substrings that reveal a hidden text."""
    if len(letters) < _SHORTEST_PART:
        return set()
    return {letters[at : at + _LONGEST_RUN] for at in range(max(1, len(letters) - _LONGEST_RUN + 1))}


def _decoded(text: str) -> str:
    """Undo the escapes of URLs, HTML and JSON."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), html.unescape(unquote(text)))


def _user_and_password(value: str) -> set[str]:
    """Return user, password and both of a Basic authentication header; empty for other values."""
    scheme, _, encoded = value.partition(" ")
    if scheme.lower() != "basic":
        return set()
    try:
        both = base64.b64decode(encoded).decode()
    except ValueError:
        return set()
    user, _, password = both.partition(":")
    return {both, user, password}


class EgressClient:
    """Sends requests to one address; call it from one thread at a time."""

    def __init__(
        self,
        target: Target,
        guard: SsrfGuard,
        settings: EgressSettings,
        names: Names,
        *,
        headers: Mapping[str, str],
        tls: ssl.SSLContext | None,
        metrics: SinkMetrics,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        guard.admit(target)
        self.target = target
        self.shown = f"{names.what} at {target.where}"
        self._guard = guard
        self._names = names
        self._timeout = settings.request_timeout
        self._bucket = Bucket(settings.max_requests)
        self._hidden = _Hidden(target.path, headers)
        self._headers = {**headers, "User-Agent": USER_AGENT, "Connection": "close"}
        self._tls = tls
        self._request_seconds = metrics.request_seconds
        self._clock = clock
        self._sleep = sleep
        self._not_before = 0.0

    def reach(self) -> None:
        """Connect without a request; raises Unavailable or Refused."""
        self._heed()
        self._guard.connect(self.target, time.monotonic() + self._timeout).close()

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> InvalidRecord | None:
        """Send one request; return None if it was accepted, or the reason why its content is refused.

        Blocks for at most the request timeout, and up to as long before it if requests exceed the allowed rate.
        Raises Unavailable if a retry may help, Refused if it will not.
        """
        self._heed()
        self._wait_for_turn()
        status, text, after = self._exchange(method, path, body, headers or {})
        said = f"{self.shown} responded {status}" + (f": {text}" if text else "")
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return None
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _TRY_AGAIN:
            self._not_before = self._clock() + _seconds(after)
            raise Unavailable(said)
        if status in _DENIED:
            raise Refused(f"{said}: check {self._names.headers}, or {self._names.url}.")
        if status < HTTPStatus.BAD_REQUEST:
            raise Refused(f"{said}: redirects are not followed, {self._names.url} must be the final address.")
        if status in _NOT_THERE:
            raise Refused(f"{said}: check {self._names.url}.")
        return InvalidRecord(Reason.REFUSED, f"{status}: {text}")

    def _heed(self) -> None:
        """Raise Unavailable until the Retry-After of the last response is over."""
        left = self._not_before - self._clock()
        if left > 0:
            raise Unavailable(f"{self.shown} asked for no requests (Retry-After): {left:.0f} s left")

    def _wait_for_turn(self) -> None:
        while wait := self._bucket.take(self._clock()):
            if wait > self._timeout:
                raise Unavailable(f"{self.shown} is at its limit (TRACELINK_MAX_REQUESTS): {wait:.0f} s left")
            self._sleep(wait)

    def _exchange(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, str, str | None]:
        """Return the status, the beginning of the response with secrets redacted, and its Retry-After."""
        target, started = self.target, time.perf_counter()
        connection = (
            TlsConnection(target.host, target.port, ssl_context=self._tls)
            if target.scheme == "https"
            else PlainConnection(target.host, target.port)
        )
        connection.pin(self._guard, target, time.monotonic() + self._timeout)
        # A socket timeout restarts with each byte: a server that sends byte by byte could block for ever.
        watch = Timer(self._timeout, connection.hang_up)
        watch.daemon = True
        watch.start()
        try:
            with closing(connection):
                try:
                    connection.request(
                        method, path, body, {**self._headers, **headers}, preload_content=False, decode_content=False
                    )
                except (BrokenPipeError, ConnectionResetError):
                    # A server may refuse a large body before it was sent completely; that response counts.
                    if connection.sock is None:
                        raise
                with closing(connection.getresponse()) as response:
                    if connection.hung_up:  # within the headers: the parser takes the end of the connection for theirs
                        raise TimeoutError
                    self._request_seconds.observe(time.perf_counter() - started)
                    text = self._hidden.shown(_beginning(response))
                    return response.status, text, response.headers.get("Retry-After")
        except (ssl.CertificateError, ssl.SSLError) as error:
            if isinstance(error, ssl.CertificateError) or error.reason in _NOT_TLS:
                raise Refused(
                    f"TLS with {self.shown} failed: {self._hidden.shown(str(error))}. "
                    f"Check {self._names.ca} and {self._names.url}."
                ) from None
            raise self._unanswered(error, hung_up=connection.hung_up) from None
        except (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError) as error:
            raise self._unanswered(error, hung_up=connection.hung_up) from None
        finally:
            watch.cancel()
            connection.let_go()

    def _unanswered(self, error: Exception, *, hung_up: bool) -> Unavailable:
        # The error quotes a response that is not HTTP.
        said = self._hidden.shown(str(error)) or type(error).__name__
        return Unavailable(
            f"{self.shown} does not answer: " + (f"no answer within {self._timeout:g} s" if hung_up else said)
        )


def egress_clients(
    urls: Iterable[str],
    settings: EgressSettings,
    names: Names,
    metrics: SinkMetrics,
    *,
    headers: Mapping[str, str],
    ca: Path | None,
) -> list[EgressClient]:
    """Return a client for each URL; raises UserError for invalid settings."""
    targets = [target(url, names.url) for url in urls]
    hosts = frozenset(one.host for one in targets)
    if settings.allow_hosts is not None:
        hosts = frozenset(_allowed_host(one.strip()) for one in settings.allow_hosts.split(",") if one.strip())
    guard = SsrfGuard(hosts, networks_of(settings.allow_networks))
    # Reading the certificates takes a while.
    tls = trusting(ca, names.ca) if any(one.scheme == "https" for one in targets) else None
    return [EgressClient(one, guard, settings, names, headers=headers, tls=tls, metrics=metrics) for one in targets]


def _allowed_host(text: str) -> str:
    host = host_of(text)
    if host is None:
        raise UserError(f"TRACELINK_ALLOW_HOSTS: {text!r} is not a host; give names or addresses without ports.")
    return host


def _beginning(response: urllib3.BaseHTTPResponse) -> str:
    """Read the beginning of a response: only the status matters, and a body may be endless."""
    try:
        return response.read(_MOST_READ, decode_content=False).decode(errors="replace")
    except (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError):
        return ""


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text)[:300].strip()


def _seconds(after: str | None) -> float:
    """Parse a Retry-After header, in seconds or as a date; returns at most 60 s."""
    try:
        asked = urllib3.Retry(0).parse_retry_after(after) if after else 0.0
    except (urllib3.exceptions.InvalidHeader, OverflowError, ValueError):
        return 0.0
    return min(_LONGEST_PAUSE, asked)
