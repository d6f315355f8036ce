"""The application of the page: its addresses, who may see them, and what browsers may do with them."""

import logging
import re
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from pathlib import Path
from string import punctuation
from urllib.parse import parse_qs, quote

import anyio
from anyio import to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from sinks.base.contract import Refused
from sinks.page.access import COOKIE, Access
from sinks.page.live import LiveProblems
from sinks.page.metrics import PageMetrics
from sinks.page.settings import PageSettings
from sinks.page.views import Page, Views
from tracelink.errors import Unavailable, UserError

_log = logging.getLogger(__name__)

_STATIC = Path(__file__).parent / "static"
_OPEN = ("/login", "/static/")
"""What everybody may see: nothing of these comes from topics or stores."""
_LONGEST_FORM = 4_096
_LONGEST_ADDRESS = 4_096
_LONGEST_TARGET = 1_000
"""Characters, each of which has up to three bytes in a form."""
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
# Not `//host` and not `/\host`, which browsers read as another site.
_OWN_PATH = re.compile(r"/(?![/\\])[^\x00-\x20]*")


class App:
    """Answers requests; what blocks runs in threads, of which only so many ask the stores at a time."""

    def __init__(self, settings: PageSettings, views: Views, problems: LiveProblems, metrics: PageMetrics) -> None:
        self._views = views
        self._metrics = metrics
        self._problems = problems
        self._access = Access(settings)
        self._timeout = settings.store_timeout
        self._limiter = anyio.CapacityLimiter(settings.max_searches)
        self.asgi = Starlette(
            routes=[
                Route("/", self._problem_list),
                Route("/problems/{fingerprint:path}", self._problem),
                Route("/traces", self._search),
                Route("/traces/{id:path}", self._trace),
                Route("/go", self._go),
                Route("/live", self._live),
                Route("/login", self._login, methods=["GET", "POST"]),
                # Browsers ask for it beside what is not HTML.
                Route("/favicon.ico", lambda _: RedirectResponse("/static/icon.svg")),
                Mount("/static", StaticFiles(directory=_STATIC)),
            ],
            middleware=[Middleware(BaseHTTPMiddleware, dispatch=self._guarded)],
            exception_handlers={
                HTTPStatus.NOT_FOUND: self._not_found,
                HTTPStatus.METHOD_NOT_ALLOWED: self._not_allowed,
            },
        )

    async def _guarded(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Refuse who may not see the page, and tell the browser what it may do with an answer."""
        # Not of a URL, which is made with the Host header: anybody may write what they like into that.
        path: str = request.scope["path"]
        if len(_raw(request)) > _LONGEST_ADDRESS:
            response = _response(self._views.error(HTTPStatus.REQUEST_URI_TOO_LONG, _TOO_LONG))
        elif path.startswith(_OPEN) or self._access.allows(request):
            response = await call_next(request)
        else:
            response = self._refused(request)
        response.headers.update(_HEADERS)
        if not path.startswith("/static/"):
            response.headers["cache-control"] = "no-store"
        return response

    def _refused(self, request: Request) -> Response:
        if self._access.asks_for_token:
            return _response(self._views.login(_target_of(request)))
        return _response(self._views.error(HTTPStatus.FORBIDDEN, _FORBIDDEN))

    async def _problem_list(self, request: Request) -> Response:
        return await self._shown("problems", lambda: self._views.problem_list(request.query_params), asks=False)

    async def _problem(self, request: Request) -> Response:
        fingerprint, query = request.path_params["fingerprint"], request.query_params
        return await self._shown("problem", lambda: self._views.problem(fingerprint, query))

    async def _trace(self, request: Request) -> Response:
        trace_id, query = request.path_params["id"], request.query_params
        return await self._shown("trace", lambda: self._views.trace(trace_id, query))

    async def _search(self, request: Request) -> Response:
        return await self._shown("traces", lambda: self._views.search(request.query_params))

    async def _go(self, request: Request) -> Response:
        """Lead from the field for a trace id to the trace."""
        return RedirectResponse(f"/traces/{quote(request.query_params.get('id', '').strip(), safe='')}", 303)

    async def _shown(self, name: str, make: Callable[[], Page], *, asks: bool = True) -> Response:
        """Count and time a page; `asks` is False for one that asks no store."""
        with self._metrics.duration.labels(name).time():
            response = await (self._asked(make) if asks else self._made(make))
        self._metrics.requests.labels(name, response.status_code).inc()
        return response

    async def _asked(self, make: Callable[[], Page]) -> Response:
        """Make a page that asks the stores, if not too many do."""
        try:
            with anyio.fail_after(self._timeout):
                await self._limiter.acquire()
        except TimeoutError:
            return _response(self._views.error(HTTPStatus.SERVICE_UNAVAILABLE, _BUSY))
        try:
            return await self._made(make)
        finally:
            self._limiter.release()

    async def _made(self, make: Callable[[], Page]) -> Response:
        """Make a page in a thread; a store that does not answer, or a wrong id, gives a page that says so."""
        try:
            return _response(await to_thread.run_sync(make))
        except (Unavailable, Refused) as error:
            _log.warning("%s", error)
            return _response(self._views.error(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}"))
        except UserError as error:
            return _response(self._views.error(HTTPStatus.BAD_REQUEST, error.message))
        except Exception:  # noqa: BLE001 - a person gets an answer, whatever the bug
            _log.exception("a page failed")
            return _response(self._views.error(HTTPStatus.INTERNAL_SERVER_ERROR, _BUG))

    async def _live(self, _: Request) -> Response:
        """Stream an event after each change of the problems."""

        async def events() -> AsyncIterator[str]:
            yield "retry: 5000\n\n"
            async for changed in self._problems.changes():
                yield "event: changed\ndata:\n\n" if changed else ": nothing\n\n"
                # Many changes within a second are one.
                await anyio.sleep(1)

        return StreamingResponse(events(), media_type="text/event-stream")

    async def _login(self, request: Request) -> Response:
        if request.method == "GET":
            return _response(self._views.login("/"))
        form = await _form(request)
        target = form.get("target", "/")
        if not _OWN_PATH.fullmatch(target):
            target = "/"
        cookie = self._access.cookie(form.get("token", ""))
        if cookie is None:
            return _response(self._views.login(target, failed=True))
        response = RedirectResponse(target, 303)
        response.set_cookie(COOKIE, cookie, httponly=True, samesite="lax", secure=request.url.scheme == "https")
        return response

    async def _not_found(self, _: Request, __: Exception) -> Response:
        return _response(self._views.error(HTTPStatus.NOT_FOUND, "There is no such page."))

    async def _not_allowed(self, request: Request, _: Exception) -> Response:
        response = _response(self._views.error(HTTPStatus.METHOD_NOT_ALLOWED, _READ_ONLY))
        response.headers["allow"] = "GET, HEAD, POST" if request.scope["path"] == "/login" else "GET, HEAD"
        return response


_READ_ONLY = "This page is read only: it answers GET."
_FORBIDDEN = "Only this machine, under its own name, or a proxy that names its user, may see this page."
_BUG = "The page failed, by a fault of its own; its log says where."
_TOO_LONG = f"The address is too long: it has more than {_LONGEST_ADDRESS:,} characters."
_BUSY = "Too many people ask Elasticsearch at this moment."


def _response(page: Page) -> Response:
    # A store may have half a character, which is no text.
    return Response(page.body.encode("utf-8", "replace"), page.status, media_type=page.content_type)


def _target_of(request: Request) -> str:
    """Return the address that was asked for, or the first page's if it is too long for a form."""
    raw = _raw(request)
    return quote(raw, safe=punctuation) if len(raw) <= _LONGEST_TARGET else "/"


def _raw(request: Request) -> bytes:
    """Return path and query as they came."""
    path: bytes = request.scope["raw_path"]
    query: bytes = request.scope["query_string"]
    return path + b"?" + query if query else path


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a small form; empty if it is not one."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LONGEST_FORM:
            return {}
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}
