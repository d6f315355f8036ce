"""An HTTP proxy in front of a real server, Elasticsearch or Zipkin, that misbehaves when it is told to."""

import gzip
import socket
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from threading import Event, Lock, Thread, current_thread
from typing import Any, Self, TypedDict, Unpack

import orjson
import urllib3

_PATIENCE = 60.0  # seconds the server may take for an answer
_CLOSING = 5.0  # seconds for all connections to end; what waits for a server that hangs is left behind
_HOP_BY_HOP = (
    "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "TE", "Trailer",
    "Transfer-Encoding", "Upgrade",
)  # fmt: skip
_ERROR_TYPES = {
    400: "mapper_parsing_exception",
    401: "security_exception",
    429: "es_rejected_execution_exception",
    503: "es_rejected_execution_exception",
}


class HangUp(ConnectionError):
    """Closes the client's connection without an answer."""


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    """With the query."""
    headers: urllib3.HTTPHeaderDict
    body: bytes
    """As it was sent, compressed or not."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: urllib3.HTTPHeaderDict
    body: bytes
    length: int | None = None
    """What Content-Length says where that is not the body's; the connection is closed after the body then."""


class Limits(TypedDict, total=False):
    """What every mode takes besides its own arguments."""

    times: int | None
    """Meets so many requests, and lets the others pass; None for no end."""
    every: int
    """Meets the first of so many requests, and lets the others of them pass."""


def is_write(request: Request, *paths: str) -> bool:
    # Zipkin has GET /api/v2/spans too, which reads.
    path = request.path.partition("?")[0]
    return request.method in {"POST", "PUT"} and path.endswith(paths or ("/_bulk", "/api/v2/spans"))


@dataclass(frozen=True, slots=True)
class Mode:
    """A way to misbehave; the functions below make them."""

    name: str
    """Its key in `Proxy.seen`."""
    act: Callable[["Proxy", Request, int], Answer]
    """Answers, or raises HangUp; the number counts the requests that the mode applies to, from 0."""
    applies: Callable[[Request], bool] = is_write
    times: int | None = None
    every: int = 1


def status(code: int, body: str | None = None, *, larger_than: int = -1, **limits: Unpack[Limits]) -> Mode:
    """Answer with this status and JSON text (by default an error as Elasticsearch words it), and do not forward.

    `larger_than`: only requests whose body, as sent, has more bytes; smaller ones pass, and do not count.
    """
    answer = _made(code, body.encode() if body is not None else orjson.dumps({"error": _error(code), "status": code}))

    def applies(request: Request) -> bool:
        return is_write(request) and len(request.body) > larger_than

    return Mode(f"status {code}", lambda *_: answer, applies, **limits)


def slow(seconds: float, **limits: Unpack[Limits]) -> Mode:
    """Forward, and answer so much later."""

    def act(proxy: "Proxy", request: Request, _: int) -> Answer:
        answer = proxy.forward(request)
        if proxy.closing.wait(seconds):
            raise HangUp
        return answer

    return Mode("slow", act, **limits)


def cut(**limits: Unpack[Limits]) -> Mode:
    """Forward, so that the server writes, and close the connection instead of the answer."""

    def act(proxy: "Proxy", request: Request, _: int) -> Answer:
        proxy.forward(request)
        raise HangUp

    return Mode("cut", act, **limits)


def refuse(**limits: Unpack[Limits]) -> Mode:
    """Close the connection at any request, not only at writes, and do not forward."""

    def act(*_: object) -> Answer:
        raise HangUp

    return Mode("refuse", act, lambda _: True, **limits)


def half_answer(**limits: Unpack[Limits]) -> Mode:
    """Forward, and close the connection after half of the answer's body."""

    def act(proxy: "Proxy", request: Request, _: int) -> Answer:
        answer = proxy.forward(request)
        size = len(answer.body)
        # Zipkin's answer to spans has no body: one byte is announced, and never comes.
        return replace(answer, body=answer.body[: size // 2], length=max(size, 1))

    return Mode("half_answer", act, **limits)


def items(
    chance: float, seed: int, status: int = 429, unparsable: Collection[str] = (), **limits: Unpack[Limits]
) -> Mode:
    """Take a share of a bulk request's documents out, forward the rest, and answer `status` for those in their places.

    Documents with an id in `unparsable` are never forwarded, and answered 400. The request's number is part of the
    seed: what is sent again has its chance anew. `seen["item STATUS"]` counts the documents that were taken out.
    """

    def act(proxy: "Proxy", request: Request, turn: int) -> Answer:
        random = Random(f"{seed} {turn}")
        headers = request.headers.copy()
        headers.discard("Accept-Encoding")
        packed = headers.pop("Content-Encoding", "") == "gzip"
        lines = (gzip.decompress(request.body) if packed else request.body).splitlines(keepends=True)
        refusals: list[dict[str, Any] | None] = []
        kept = b""
        for action, source in zip(lines[::2], lines[1::2], strict=True):
            ((verb, target),) = orjson.loads(action).items()
            code = 400 if target["_id"] in unparsable else status if random.random() < chance else None
            refusals.append({verb: {**target, "status": code, "error": _error(code)}} if code else None)
            if code:
                proxy.count(f"item {code}")
            else:
                kept += action + source
        # Elasticsearch refuses a bulk request without documents.
        forwarded = replace(request, headers=headers, body=kept)
        answer = proxy.forward(forwarded) if kept else _made(200, b'{"items":[]}')
        if answer.status != 200 or not any(refusals):
            return answer
        said = orjson.loads(answer.body)
        results = iter(said["items"])
        said |= {"errors": True, "items": [refusal or next(results) for refusal in refusals]}
        return replace(answer, body=orjson.dumps(said))

    return Mode("items", act, lambda request: is_write(request, "/_bulk"), **limits)


class Proxy:
    """Forwards each request and its answer as they are, until it is told to misbehave.

    The address is bound at once, and served within `with`. Bodies are held whole. Where the server is away or breaks
    off, so does the proxy: the client's connection is closed without an answer.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        """The server's base URL; may be set anew at any time."""
        self._server = _Server(("127.0.0.1", 0), partial(_Handler, self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.closing = Event()
        self.talks: dict[socket.socket, Thread] = {}
        """The connections of clients."""
        self._pools = urllib3.PoolManager(maxsize=32, retries=False, timeout=_PATIENCE)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._lock = Lock()
        self._mode: Mode | None = None
        self._turns = 0
        self._seen = Counter[str]()

    def misbehave(self, mode: Mode) -> None:
        """Do so for requests from now on; its `times` and `every` count from here."""
        with self._lock:
            self._mode, self._turns = mode, 0

    def behave(self) -> None:
        """Let requests pass from now on; those that a fault has met already are not spared."""
        with self._lock:
            self._mode = None

    @property
    def seen(self) -> Counter[str]:
        """A copy of how many requests met each mode since the start, by the modes' names."""
        with self._lock:
            return self._seen.copy()

    def count(self, name: str) -> None:
        """Count in `seen`."""
        with self._lock:
            self._seen[name] += 1

    def answer(self, request: Request) -> Answer:
        """Answer as the mode has it; raises HangUp."""
        with self._lock:
            mode, turn = self._mode, self._turns
            if mode is None or not mode.applies(request):
                mode = None
            else:
                self._turns += 1
                if turn % mode.every or (mode.times is not None and turn // mode.every >= mode.times):
                    mode = None
                else:
                    self._seen[mode.name] += 1
        return mode.act(self, request, turn) if mode else self.forward(request)

    def forward(self, request: Request) -> Answer:
        """Ask the server; raises HangUp where it does not answer."""
        url, body = self.upstream.rstrip("/") + request.path, request.body or None
        try:
            found = self._pools.request(
                request.method, url, body=body, headers=request.headers, decode_content=False, redirect=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise HangUp from error
        return Answer(found.status, _end_to_end(found.headers.items()), found.data)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        # A client's pool would hold its connection, and so a thread, for ever.
        talks = self.talks.copy()
        for talk in talks:
            with suppress(OSError):
                talk.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + _CLOSING
        for thread in talks.values():
            thread.join(max(0.0, deadline - time.monotonic()))
        self._pools.clear()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Header and body are two writes, and the second is not to wait for the client's acknowledgement of the first.
    disable_nagle_algorithm = True

    def __init__(self, proxy: Proxy, *arguments: Any) -> None:  # noqa: ANN401 - passed on
        self._proxy = proxy
        super().__init__(*arguments)

    def handle(self) -> None:
        self._proxy.talks[self.connection] = current_thread()
        try:
            if not self._proxy.closing.is_set():
                super().handle()
        except OSError:
            """HangUp, or a client that went away: the connection is closed after this."""
        finally:
            del self._proxy.talks[self.connection]

    def _pass(self) -> None:
        chunked = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
        body = b"".join(self._chunks()) if chunked else self._read(int(self.headers.get("Content-Length") or 0))
        headers = _end_to_end(self.headers.items(), "Host", "Content-Length", "Expect")
        answer = self._proxy.answer(Request(self.command, self.path, headers, body))
        self.send_response_only(answer.status)
        # Answers to HEAD tell the length of a body that they do not have.
        bodiless = self.command == "HEAD" or answer.status in {204, 304}
        for name, value in answer.headers.items():
            if bodiless or name.lower() != "content-length":
                self.send_header(name, value)
        if not bodiless:
            self.send_header("Content-Length", str(len(answer.body) if answer.length is None else answer.length))
        self.end_headers()
        self.wfile.write(answer.body)
        if answer.length is not None:
            raise HangUp

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _pass  # noqa: N815 - http.server's names

    def _read(self, size: int) -> bytes:
        read = self.rfile.read(size)
        if len(read) < size:  # the client went away: half a request is not forwarded
            raise HangUp
        return read

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            yield self._read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            """Trailers are dropped."""

    def log_message(self, *_: object) -> None:
        """Keep requests out of the test's output."""


def _end_to_end(headers: Iterable[tuple[str, str]], *others: str) -> urllib3.HTTPHeaderDict:
    """Leave out the headers of one connection, and others."""
    found = urllib3.HTTPHeaderDict(list(headers))
    for name in (*found.get("Connection", "").split(","), *_HOP_BY_HOP, *others):
        found.discard(name.strip())
    return found


def _made(status: int, body: bytes) -> Answer:
    headers = {"Content-Type": "application/json", "X-Elastic-Product": "Elasticsearch"}
    return Answer(status, urllib3.HTTPHeaderDict(headers), body)


def _error(status: int) -> dict[str, str]:
    return {"type": _ERROR_TYPES.get(status, "exception"), "reason": "the test's proxy says so"}
