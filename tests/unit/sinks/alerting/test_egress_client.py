"""Calls to configured addresses: where they may go, how long they may take, how fast they may come."""

import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from pipeline.runtime.http_client import headers_of
from sinks.alerting import egress_client
from sinks.alerting.egress_client import Bucket, EgressClient, Names, egress_clients
from sinks.alerting.settings import EgressSettings
from sinks.alerting.ssrf_guard import SsrfGuard, Target, host_of, is_allowed, target
from sinks.base.contract import Refused
from tests.kit.certificates import certify
from tests.kit.http_stub import Answer, Request, stub
from tests.kit.sink_targets import metrics
from tracelink.errors import InvalidRecord, Unavailable, UserError

NAMES = Names("The target", "TRACELINK_X_URL", "TRACELINK_X_HEADERS", "TRACELINK_X_CA")
LOOPBACK = "127.0.0.0/8,::1/128"
OK: Answer = lambda _: (200, "ok")  # noqa: E731 - the shortest of servers


def client(url: str, *, ca: Path | None = None, headers: dict[str, str] | None = None, **given: object) -> EgressClient:
    settings = EgressSettings.load(**({"allow_networks": LOOPBACK, "request_timeout": "5"} | given))
    (made,) = egress_clients([url], settings, NAMES, metrics(), headers=headers or {}, ca=ca)
    return made


def ask(made: EgressClient, path: str = "/") -> InvalidRecord | None:
    return made.ask("POST", path, b"{}")


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Have names resolve to these addresses, the next ones each time; gives the names that were asked for."""
    asked: list[str] = []
    left = list(answers)

    def answer(host: str, port: int, **_: object) -> list[Any]:
        asked.append(host)
        addresses = left.pop(0) if len(left) > 1 else left[0]
        return [
            (
                socket.AF_INET6 if ":" in one else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (one, port, 0, 0) if ":" in one else (one, port),
            )
            for one in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return asked


REFUSED = [
    "0.0.0.0",  # noqa: S104 - to be refused
    "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.8.9.1", "169.254.169.254", "172.16.0.1",
    "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.168.1.1", "192.88.99.1", "198.18.0.1", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::10.0.0.1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808", "100::1", "2001:0:4136:e378::1", "2001:db8::1", "2002:a00:1::1",
    "2002:7f00:1::1", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%eth0",
    "fec0::1", "ff02::1", "ff0e::1",
]  # fmt: skip


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_is_not_public_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_allowed(address, ())
    resolving(monkeypatch, [address])
    with pytest.raises(Refused, match="TRACELINK_ALLOW_NETWORKS"):
        ask(client("http://inside.example.org", allow_networks=""))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"])
def test_a_public_address_is_not_refused(address: str) -> None:
    assert is_allowed(address, ())


@pytest.mark.parametrize(
    ("address", "networks", "allowed"),
    [
        ("10.1.2.3", ["10.0.0.0/8"], True),
        ("10.1.2.3", ["10.2.0.0/16"], False),
        ("::ffff:10.1.2.3", ["10.0.0.0/8"], True),
        ("64:ff9b::10.1.2.3", ["10.0.0.0/8"], True),
        ("64:ff9b::10.1.2.3", ["64:ff9b::/96"], False),
        ("::1", ["127.0.0.0/8"], False),
        ("fd00::1", ["fd00::/8"], True),
        ("2002:a00:1::1", ["2002::/16"], False),
        ("2002:a00:1::1", ["2002::/16", "10.0.0.0/8"], True),
        ("127.0.0.1", ["::/0"], False),
    ],
)
def test_a_network_that_is_allowed_lets_its_addresses_pass_and_no_other(
    address: str, networks: list[str], *, allowed: bool
) -> None:
    assert is_allowed(address, [ip_network(one) for one in networks]) is allowed


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1", "http://127.1", "http://2130706433", "http://0x7f000001", "http://0177.0.0.1",
        "http://[::1]", "http://[::ffff:127.0.0.1]", "http://localhost", "http://LOCALHOST.", "http://0",
    ],
)  # fmt: skip
def test_loopback_is_refused_however_it_is_written(url: str) -> None:
    with pytest.raises(Refused, match="is not public"):
        ask(client(url, allow_networks=""))


def test_the_address_that_was_checked_is_the_one_that_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    connected: list[Any] = []

    class Watched(socket.socket):
        def connect(self, address: Any) -> None:  # noqa: ANN401 - the base class's
            connected.append(address)
            raise ConnectionRefusedError

    monkeypatch.setattr(socket, "socket", Watched)
    # Public at the first look, the metadata service of a cloud at the second.
    asked = resolving(monkeypatch, ["8.8.8.8"], ["169.254.169.254"])
    rebinding = client("http://rebinding.example.org:8080", allow_networks="")
    with pytest.raises(Unavailable):
        ask(rebinding)
    assert asked == ["rebinding.example.org"]
    assert connected == [("8.8.8.8", 8080)]
    with pytest.raises(Refused, match=r"169\.254\.169\.254"):
        ask(rebinding)
    assert connected == [("8.8.8.8", 8080)]


def test_of_several_addresses_only_those_allowed_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with stub(OK) as url:
        resolving(monkeypatch, ["10.0.0.1", "::1", "127.0.0.1"])
        made = client(url.replace("127.0.0.1", "mixed.example.org"), allow_networks="127.0.0.0/8")
        assert ask(made) is None


def test_a_host_that_is_not_allowed_is_refused_at_start() -> None:
    with pytest.raises(UserError, match=r"evil\.example\.org: TRACELINK_ALLOW_HOSTS does not include"):
        client("http://evil.example.org", allow_hosts="hooks.example.org, other.example.org")
    client("http://HOOKS.example.org./x", allow_hosts="hooks.example.org")
    client("http://b\u00fccher.example", allow_hosts="B\u00dcCHER.example")
    client("http://[::1]:80", allow_hosts="::1")
    with pytest.raises(UserError, match="ALLOW_HOSTS: 'h:80' is not a host"):
        client("http://h", allow_hosts="h:80")


def test_the_guard_itself_refuses_a_host_that_is_not_allowed() -> None:
    with pytest.raises(UserError, match="ALLOW_HOSTS"):
        SsrfGuard(frozenset({"a"})).connect(Target("http", "b", 80, "/"), time.monotonic() + 1)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://A.Example.", Target("http", "a.example", 80, "/")),
        ("https://a:8443/x?y=1#z", Target("https", "a", 8443, "/x?y=1")),
        ("http://[2001:DB8::0:1]:9093/p", Target("http", "2001:db8::1", 9093, "/p")),
        ("http://b\u00fccher.example", Target("http", "xn--bcher-kva.example", 80, "/")),
    ],
)
def test_a_url_is_taken_apart_once(url: str, found: Target) -> None:
    assert target(url, "X") == found
    assert target(found.where + found.path, "X") == found


@pytest.mark.parametrize(
    "url",
    [
        "", "h", "//h", "http://", "ftp://h", "file:///etc/passwd", "http://h..", "http://.h", "http://h:0", "http://h:x",
        "http://h:99999", "http://h/ a", "http://h/\r\nX: y", "http://good\\@evil", "http://[fe80::1%25eth0]",
        "http://[::1", "http://[v1.x]", "http://-h", "http://" + "a" * 64, "gopher://h", "http:h",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(UserError) as caught:
        target(url + "?s3cret", "TRACELINK_X_URL")
    assert "TRACELINK_X_URL is not a valid URL" in caught.value.message
    assert "s3cret" not in caught.value.message


def test_credentials_in_a_url_are_refused_with_a_hint_and_not_shown() -> None:
    with pytest.raises(UserError, match="as a header") as caught:
        target("http://user:s3cret@h", "TRACELINK_X_URL")
    assert "s3cret" not in caught.value.message


@given(st.text())
def test_a_host_is_a_plain_one_or_none(text: str) -> None:
    host = host_of(text)
    assert host is None or (host.isascii() and host == host.lower() and not set(host) & set("/@?#[]% \\"))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 300, 304])
def test_a_redirect_is_not_followed(status: int) -> None:
    seen: list[Request] = []

    def other(request: Request) -> tuple[int, object]:
        seen.append(request)
        return 200, ""

    with (
        stub(other) as target,
        stub(lambda _: (status, ""), headers={"Location": f"{target}/inside"}) as url,
        pytest.raises(Refused, match=f"{status}.*redirects are not followed, TRACELINK_X_URL"),
    ):
        ask(client(url))
    assert seen == []


def test_proxies_of_the_environment_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with stub(OK) as url:
        assert ask(client(url)) is None


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 599])
def test_a_target_that_is_overloaded_is_unavailable(status: int) -> None:
    with stub(lambda _: (status, "busy")) as url, pytest.raises(Unavailable, match=f"{status}: .busy"):
        ask(client(url))


@pytest.mark.parametrize(
    ("status", "setting"),
    [(401, "X_HEADERS"), (403, "X_HEADERS"), (403, "X_URL"), (404, "X_URL"), (405, "X_URL"), (410, "X_URL")],
)
def test_a_target_that_refuses_everything_names_the_setting(status: int, setting: str) -> None:
    with stub(lambda _: (status, "no")) as url, pytest.raises(Refused, match=setting):
        ask(client(url))


@pytest.mark.parametrize("status", [400, 413, 422])
def test_content_that_is_refused_is_returned(status: int) -> None:
    with stub(lambda _: (status, "too odd\u001b[31m")) as url:
        refusal = ask(client(url))
    assert refusal is not None
    assert str(status) in refusal.detail
    assert "too odd" in refusal.detail
    assert "\x1b" not in refusal.detail


class Clock:
    """A monotonic clock; sleeping moves it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def clocked(url: str, clock: Clock, **given: object) -> EgressClient:
    settings = EgressSettings.load(**({"allow_networks": LOOPBACK} | given))
    where = target(url, "X")
    return EgressClient(
        where,
        SsrfGuard(frozenset({where.host}), (ip_network("127.0.0.0/8"),)),
        settings,
        NAMES,
        headers={},
        tls=None,
        metrics=metrics(),
        clock=clock,
        sleep=clock.sleep,
    )


@pytest.mark.parametrize(("after", "seconds"), [("7", 7), ("99999", 60), ("soon", 0), ("-5", 0), (None, 0)])
def test_a_target_that_asks_for_a_pause_is_left_alone_for_so_long_but_a_minute_at_most(
    after: str | None, seconds: int
) -> None:
    clock, asked = Clock(), []

    def busy(request: Request) -> tuple[int, object]:
        asked.append(request)
        return 429, "slow down"

    with stub(busy, headers={"Retry-After": after} if after else None) as url:
        made = clocked(url, clock)
        with pytest.raises(Unavailable, match="429"):
            ask(made)
        if seconds:
            clock.now += seconds - 0.5
            with pytest.raises(Unavailable, match="Retry-After"):
                ask(made)
            with pytest.raises(Unavailable, match="Retry-After"):
                made.reach()
            assert len(asked) == 1
            clock.now += 0.5
        with pytest.raises(Unavailable, match="429"):
            ask(made)
        assert len(asked) == 2


def test_requests_over_the_limit_wait_and_none_is_lost() -> None:
    clock = Clock()
    with stub(OK) as url:
        made = clocked(url, clock, max_requests="60")
        for _ in range(15):
            assert ask(made) is None
    assert len(clock.slept) == 5
    assert sum(clock.slept) == pytest.approx(5)


def test_a_wait_that_outlasts_the_time_out_is_left_to_the_repeat() -> None:
    clock = Clock()
    with stub(OK) as url:
        made = clocked(url, clock, max_requests="1")
        assert ask(made) is None
        with pytest.raises(Unavailable, match="TRACELINK_MAX_REQUESTS"):
            ask(made)
        assert clock.slept == []
        clock.now += 60
        assert ask(made) is None


@given(st.integers(1, 1000), st.lists(st.floats(0, 30), min_size=1, max_size=100))
def test_a_bucket_never_gives_more_than_its_pace_and_its_burst(per_minute: int, pauses: list[float]) -> None:
    bucket, now, taken = Bucket(per_minute), 0.0, 0
    for pause in pauses:
        now += pause
        wait = bucket.take(now)
        assert 0 <= wait <= 60 / per_minute + 1e-6
        taken += wait == 0
    assert taken <= max(1, per_minute // 6) + now * per_minute / 60 + 1e-3


def read_request(line: socket.socket) -> None:
    """Read up to the body: what is not read when a connection is closed makes it a reset."""
    read = b""
    while not read.endswith(b"{}"):
        some = line.recv(65536)
        if not some:
            raise ConnectionAbortedError
        read += some


@contextmanager
def server(answer: Callable[[socket.socket, Event], None]) -> Iterator[str]:
    """Serve one connection at a time, on the level of bytes."""
    over = Event()

    def serve() -> None:
        while not over.is_set():
            try:
                line, _ = listening.accept()
            except TimeoutError:
                continue
            with line:
                try:
                    line.settimeout(5)
                    read_request(line)
                    answer(line, over)
                except OSError:
                    """The client hung up."""

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.05)
        thread = Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


def trickle(first: bytes, then: bytes, pause: float) -> Callable[[socket.socket, Event], None]:
    def answer(line: socket.socket, over: Event) -> None:
        line.sendall(first)
        while not over.wait(pause):
            line.sendall(then)

    return answer


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"", b""),
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
        (b"HTTP/1.1 ", b"2"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
def test_an_answer_that_never_begins_or_trickles_ends_with_the_time_out(first: bytes, then: bytes) -> None:
    started = time.monotonic()
    with server(trickle(first, then, 0.05)) as url, pytest.raises(Unavailable):
        ask(client(url, request_timeout="0.4"))
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_without_end_is_read_up_to_a_bound_and_the_status_holds(*, chunked: bool) -> None:
    head = b"HTTP/1.1 200 OK\r\n" + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"\r\n")
    piece = b"100\r\n" + b"x" * 256 + b"\r\n" if chunked else b"x" * 256
    started = time.monotonic()
    with server(trickle(head, piece, 0.0)) as url:
        assert ask(client(url, request_timeout="30")) is None
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_that_trickles_ends_with_the_time_out_and_the_status_holds(*, chunked: bool) -> None:
    head = b"HTTP/1.1 200 OK\r\n" + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"\r\n")
    started = time.monotonic()
    with server(trickle(head, b"1\r\nx\r\n" if chunked else b"x", 0.05)) as url:
        assert ask(client(url, request_timeout="1")) is None
    assert time.monotonic() - started < 5


def test_an_answer_that_comes_before_all_was_sent_counts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def refuse() -> None:
            line, _ = listening.accept()
            with line:
                line.recv(1000)
                line.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")

        thread = Thread(target=refuse)
        thread.start()
        refusal = client(f"http://127.0.0.1:{listening.getsockname()[1]}").ask("POST", "/", b"x" * 50_000_000)
        thread.join()
    assert refusal is not None
    assert "413" in refusal.detail


def test_headers_without_end_are_no_answer() -> None:
    with server(trickle(b"HTTP/1.1 200 OK\r\n", b"X-More: y\r\n" * 50, 0.0)) as url, pytest.raises(Unavailable):
        ask(client(url))


def test_a_target_that_is_not_there_is_unavailable() -> None:
    for made in (client("http://127.0.0.1:1"), client("http://no-such-host.invalid")):
        with pytest.raises(Unavailable, match="Cannot"):
            ask(made)
        with pytest.raises(Unavailable, match="Cannot"):
            made.reach()


def test_a_name_that_is_never_resolved_ends_with_the_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    let = Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: let.wait(10))
    with pytest.raises(Unavailable, match=r"Cannot resolve slow\.example\.org in time"):
        ask(client("http://slow.example.org", request_timeout="0.1"))
    let.set()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Make a certificate of hooks.example.org, and its key."""
    directory = tmp_path_factory.mktemp("tls")
    certificate, key = directory / "cert.pem", directory / "key.pem"
    certify("hooks.example.org", certificate, key, "-addext", "subjectAltName=DNS:hooks.example.org")
    return certificate, key


@contextmanager
def tls_server(certificate: tuple[Path, Path], names: list[str]) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.sni_callback = lambda _line, name, _context: names.append(name)

    def answer(line: socket.socket, _over: Event) -> None:
        with context.wrap_socket(line, server_side=True) as secured:
            read_request(secured)
            secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    over = Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.05)

        def serve() -> None:
            while not over.is_set():
                try:
                    line, _ = listening.accept()
                except TimeoutError:
                    continue
                try:
                    answer(line, over)
                except OSError:
                    line.close()

        thread = Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            over.set()
            thread.join()


def test_tls_is_verified_for_the_name_and_not_for_the_address(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    resolving(monkeypatch, ["127.0.0.1"])
    with tls_server(certificate, names) as port:
        assert ask(client(f"https://hooks.example.org.:{port}", ca=certificate[0])) is None
        with pytest.raises(Refused, match="TRACELINK_X_CA"):
            ask(client(f"https://other.example.org:{port}", ca=certificate[0]))
        with pytest.raises(Refused, match="TRACELINK_X_CA"):
            ask(client(f"https://hooks.example.org:{port}"))
    assert names == ["hooks.example.org", "other.example.org", "hooks.example.org"]


def test_a_target_without_tls_is_refused_and_one_that_hangs_in_it_is_unavailable() -> None:
    with stub(OK) as url, pytest.raises(Refused, match=r"TLS with .* failed"):
        ask(client(url.replace("http", "https")))
    with server(trickle(b"", b"", 0.05)) as url, pytest.raises(Unavailable):
        ask(client(url.replace("http", "https"), request_timeout="0.3"))


def test_a_file_without_certificates_is_a_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="TRACELINK_X_CA"):
        client("https://h", ca=tmp_path / "absent.pem")


@pytest.mark.parametrize(
    "given", ["Good: 1; s3cret", "X-A: 1\nsp ace: s3cret", ": s3cret", "X: s3cret\u00e9", "X: s\x07"]
)
def test_headers_that_are_none_are_refused_and_not_shown(given: str) -> None:
    with pytest.raises(UserError, match="X_HEADERS: header") as caught:
        headers_of(SecretStr(given), "X_HEADERS")
    assert "s3cret" not in caught.value.message


def test_headers_are_sent() -> None:
    seen: list[dict[str, str]] = []

    def answer(request: Request) -> tuple[int, object]:
        seen.append(request.headers)
        return 204, ""

    with stub(answer) as url:
        ask(client(url, headers=headers_of(SecretStr("Authorization: Bearer a:b; X-Scope-OrgID: shop;"), "X")))
    assert seen[0]["authorization"] == "Bearer a:b"
    assert seen[0]["x-scope-orgid"] == "shop"
    assert seen[0]["user-agent"].startswith("tracelink/")


@pytest.mark.parametrize("networks", ["10.0.0.1/8", "all", "10.0.0.0/8;::1/128"])
def test_networks_that_are_none_are_refused(networks: str) -> None:
    with pytest.raises(UserError, match="TRACELINK_ALLOW_NETWORKS"):
        EgressSettings.load(allow_networks=networks)


SECRET = "/services/T0/B0/s3cret%2Dpath/x?key=s3cret+query&t=1"  # noqa: S105 - of a test


def answered(text: str, headers: str = "", path: str = SECRET) -> str:
    """Return what is shown of an answer."""
    with stub(lambda _: (400, text)) as url:
        refusal = ask(client(f"{url}{path}", headers=headers_of(SecretStr(headers), "X")))
    assert refusal is not None
    return refusal.detail.removeprefix("400: ").strip('"')


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"no {SECRET} here", "no [redacted] here"),
        (f"no {SECRET.upper()} here", "no [redacted] here"),
        ("no T0/B0/s3cret%2Dpath here", "no T0/B0/[redacted] here"),
        ("no s3cret-path here", "no [redacted] here"),
        ("no 's3cret+query', nor 's3cret query'", "no '[redacted]', nor '[redacted]'"),
        ("no user:pa55 and no pa55, but pa556", "no [redacted] and no [redacted], but pa556"),
        ("Bearer b3arer-token or just b3arer-token", "[redacted] or just [redacted]"),
        ("shop is no tenant, workshop neither", "[redacted] is no tenant, workshop neither"),
        ("bearer is missing", "bearer is missing"),
        # In another form, or a part of it.
        ("no s3cret&#45;path", "[redacted]"),
        ("no %73%33cret-path", "[redacted]"),
        ("no %2573%2533cret-path", "[redacted]"),
        ("no \\u0073\\u0033cret-path", "[redacted]"),
        ("no s3cret\u0000-path", "[redacted]"),
        ("no s3cretpath", "[redacted]"),
        ("no b3arer-tok...", "[redacted]"),
    ],
)
def test_what_an_answer_repeats_of_the_request_is_not_shown(text: str, shown: str) -> None:
    headers = "Authorization: Basic dXNlcjpwYTU1; X-Auth: Bearer b3arer-token; X-Scope-OrgID: shop"
    assert answered(text, headers) == shown


def test_what_is_hidden_is_not_cut_before_it_is_found() -> None:
    shown = answered("x" * 280 + " " + SECRET)
    assert "serv" not in shown
    assert len(shown) <= 300
    assert "token0" not in answered("/hook/" + "token0123456789" * 500, path="/hook/" + "token0123456789" * 130)


def test_an_answer_is_shown_where_there_is_nothing_to_hide() -> None:
    assert answered("/ is not /alerts, is it?", path="/") == "/ is not /alerts, is it?"


@given(st.text(), st.text(max_size=20), st.text(max_size=20))
def test_a_secret_is_not_shown_wherever_it_is_in_an_answer(token: str, before: str, after: str) -> None:
    secret = "s3cret-" + quote(token, safe="")
    hidden = egress_client._Hidden(f"/hook/{secret}", {})  # noqa: SLF001 - no other way to many answers
    assert "s3cret" not in hidden.shown(f"{before}{secret}{after}")
    assert "s3cret" not in hidden.shown(f"{before}{unquote(secret)}{after}")


@pytest.mark.parametrize(
    "answer",
    [
        b"no HTTP: /s3cret\r\n\r\n",
        b"HTTP/1.1 /s3cret\r\n\r\n",
        b"HTTP/1.1 500 No\r\nno header: /s3cret\r\n /s3cret\r\n\r\n",
        b"HTTP/1.1 500 /s3cret\r\nTransfer-Encoding: chunked\r\n\r\n/s3cret\r\n",
    ],
)
def test_what_is_no_http_shows_no_path_either(answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), server(lambda line, _: line.sendall(answer)) as url:
        made = client(f"{url}/s3cret")
        with pytest.raises(Unavailable) as caught:
            ask(made, made.target.path)
    assert "s3cret" not in str(caught.value) + caplog.text


def test_a_place_does_not_show_its_path() -> None:
    assert "s3cret" not in repr(target("https://h/s3cret?s3cret", "X"))


def test_no_path_is_logged_at_any_level(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), stub(lambda _: (500, "away")) as url:
        made = client(f"{url}/s3cret?s3cret")
        with pytest.raises(Unavailable) as caught:
            ask(made, made.target.path)
    assert "s3cret" not in str(caught.value) + caplog.text + made.shown
