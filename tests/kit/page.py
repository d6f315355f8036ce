"""The page of a test's own, in memory: traces, problems, a stub of Elasticsearch, and requests without a server."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from threading import Event
from typing import Any, Self, cast
from urllib.parse import unquote

import orjson
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Message

from pipeline.kafka.problem_topic import Listing, ProblemsTopic
from pipeline.model.problems import PROBLEM, Problem
from sinks.elasticsearch.client import ElasticsearchClient
from sinks.page.app import App
from sinks.page.curves import LiveCurves
from sinks.page.live import LiveProblems
from sinks.page.metrics import PageMetrics
from sinks.page.search import Search
from sinks.page.settings import PageSettings
from sinks.page.traces import Traces
from sinks.page.views import Views
from sinks.trace.search import FoundTrace
from tests.kit.http_stub import Request, stub
from tests.kit.sink_examples import START
from tests.kit.waiting import eventually
from tracelink.settings import KafkaSettings

TRACE = bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736")
_POLL = 0.02
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at(milliseconds: float) -> int:
    """Return a time so long after the start of the examples, in microseconds."""
    return START + round(milliseconds * 1000)


def span(span_id: str, parent: str | None = None, **fields: object) -> dict[str, Any]:
    """Return a span as a document has it; None leaves a field out."""
    made: dict[str, object] = {
        "traceId": TRACE.hex(),
        "id": span_id,
        "parentId": parent,
        "name": f"op {span_id}",
        "timestamp": START,
        "duration": 20_000,
        "localEndpoint": {"serviceName": "cart"},
    }
    return {name: value for name, value in (made | fields).items() if value is not None}


def failed(span_id: str, parent: str | None = None, **fields: object) -> dict[str, Any]:
    """Return an errored span."""
    return span(span_id, parent, **({"tags": {"error": "gone"}} | fields))


def line(message: str, milliseconds: float = 1, span_id: str | None = None, **fields: object) -> dict[str, Any]:
    """Return the document of a log line, whose id is its message."""
    made: dict[str, object] = {
        "_id": message,
        "@timestamp": (_EPOCH + timedelta(microseconds=at(milliseconds))).isoformat().replace("+00:00", "Z"),
        "message": message,
        "service": {"name": "cart"},
        "trace": {"id": TRACE.hex(), "errored": False},
        "span": {"id": span_id} if span_id else None,
        "log": {"level": "INFO"},
    }
    return {name: value for name, value in (made | fields).items() if value is not None}


def part(spans: Sequence[dict[str, Any]] = (), **fields: object) -> dict[str, Any]:
    """Return the document of a part."""
    made: dict[str, Any] = {
        "_id": f"{TRACE.hex()}-s0-1",
        "@timestamp": "2026-01-01T00:00:00Z",
        "service": {"name": ["cart"]},
        "trace": {
            "id": TRACE.hex(),
            "errored": False,
            "root": {"name": "get /cart", "service": "cart"},
            "part": "s0-1",
            "closed": START // 1000,
            "span_count": len(spans),
            "log_count": 0,
            "duration": {"us": 20_000},
        },
        "spans": list(spans),
    }
    return made | fields


def found(
    spans: Sequence[dict[str, Any]],
    lines: Sequence[dict[str, Any]] = (),
    parts: Sequence[dict[str, Any]] = (),
    limit: int | None = None,
) -> FoundTrace:
    """Return a trace as Elasticsearch's answers are read."""
    return FoundTrace(TRACE, list(parts), list(spans), list(lines), limit)


@dataclass
class Store:
    """The answers of an Elasticsearch with one trace."""

    parts: list[dict[str, Any]] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)
    answer: Callable[[Request], tuple[int, object] | None] = lambda _: None
    """Answers in its place, unless it gives None."""
    asked: list[Request] = field(default_factory=list)

    def __call__(self, request: Request) -> tuple[int, object]:
        self.asked.append(request)
        instead = self.answer(request)
        return self.whole(request) if instead is None else instead

    def whole(self, request: Request) -> tuple[int, object]:
        """Return its own answer."""
        if "_field_caps" in request.path:
            return 200, {"indices": ["traces-1"], "fields": {}}
        if "/_search/scroll" in request.path:
            return 200, self._hits([])
        return 200, self._hits(self.parts if "traces-" in request.path else self.lines)

    def query(self, number: int) -> dict[str, Any]:
        """Return the body of a request."""
        return cast("dict[str, Any]", orjson.loads(self.asked[number].body))

    def _hits(self, documents: Iterable[Mapping[str, Any]]) -> object:
        hits = [
            {"_id": one["_id"], "_source": {name: value for name, value in one.items() if name != "_id"}}
            for one in documents
        ]
        buckets = [
            {"key": START // 1000 + 1000 * number, "doc_count": len(hits), "errored": {"doc_count": number}}
            for number in range(2)
        ]
        return {
            "_scroll_id": "1",
            "_shards": {"total": 1, "successful": 1, "failed": 0, "skipped": 0},
            "timed_out": False,
            "hits": {"hits": hits},
            "aggregations": {"over_time": {"buckets": buckets}},
        }


class Topic:
    """The topic of problems in memory, in place of `ProblemsTopic`."""

    def __init__(self, problems: Iterable[Problem] = ()) -> None:
        self.listing = Listing()
        self.is_read = True
        self._new = list(problems)
        self._written = Event()
        self._written.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to close."""

    def put(self, *problems: Problem) -> None:
        """Write problems."""
        self._new += problems
        self._written.set()

    def poll(self, _: float) -> bool:
        """Take in what was written."""
        self._written.wait(_POLL)
        self._written.clear()
        new, self._new = self._new, []
        for one in new:
            self.listing.take(one["fingerprint"].encode("utf-8", "replace"), PROBLEM.encode(one))
        return bool(new)


@contextmanager
def live(topic: Topic, check: Callable[[KafkaSettings], object] = lambda _: None) -> Iterator[LiveProblems]:
    """Follow a topic in memory; `check` asks if Kafka is there."""

    def make(_: KafkaSettings) -> ProblemsTopic:
        return cast("ProblemsTopic", topic)

    with LiveProblems(KafkaSettings.load(), make=make, check=check) as problems:
        eventually(lambda: problems.failure is None)
        yield problems


@dataclass(frozen=True, slots=True)
class Answer:
    """What the page answers to a request."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def header(self, name: str) -> str:
        """Return the only header with this name; empty without one."""
        values = [value for given, value in self.headers if given == name]
        assert len(values) < 2, values
        return values[0] if values else ""

    @property
    def cookie(self) -> str:
        """The cookies that it sets, as a browser sends them back."""
        jar = SimpleCookie(self.header("set-cookie"))
        return "; ".join(f"{name}={morsel.value}" for name, morsel in jar.items())


async def answer(  # noqa: PLR0917 - the parts of a request
    asgi: ASGIApp,
    target: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    peer: str = "127.0.0.1",
) -> Answer:
    """Ask for a target, as the browser at the address `peer` would."""
    path, _, query = target.partition("?")
    given = {"host": "127.0.0.1:7070"} | dict(headers or {})
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode("utf-8", "surrogateescape"),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in given.items()],
        "client": (peer, 50_000),
        "server": ("127.0.0.1", 7070),
    }
    sent: list[Message] = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if waiting:
            return waiting.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    await asgi(scope, receive, send)
    start = sent[0]
    return Answer(
        start["status"],
        [(name.decode(), value.decode("latin-1")) for name, value in start["headers"]],
        b"".join(one.get("body", b"") for one in sent[1:]),
    )


@dataclass(frozen=True)
class OwnPage:
    """The application of the page, on a stub of Elasticsearch and problems in memory."""

    asgi: ASGIApp
    views: Views
    problems: LiveProblems
    topic: Topic
    store: Store

    def get(self, target: str, **more: Any) -> Answer:  # noqa: ANN401 - what `answer` takes
        return asyncio.run(answer(self.asgi, target, **more))

    def post(self, target: str, form: str, **more: Any) -> Answer:  # noqa: ANN401 - as above
        return self.get(target, method="POST", body=form.encode(), **more)


@contextmanager
def own_page(store: Store, problems: Iterable[Problem] = (), **given: object) -> Iterator[OwnPage]:
    """Make the page; `given` are its settings."""
    topic = Topic(problems)
    with stub(store) as url, live(topic) as following:
        settings = PageSettings.load(elasticsearch_url=url, **given)
        settings.check()
        with closing(ElasticsearchClient(settings, settings.store_timeout)) as client:
            # Curves that nobody reads are empty.
            views = Views(
                settings,
                following,
                LiveCurves(settings),
                Traces(client, "", settings.store_timeout),
                Search(client, ""),
            )
            app = App(settings, views, following, PageMetrics(CollectorRegistry()))
            yield OwnPage(app.asgi, views, following, topic, store)
