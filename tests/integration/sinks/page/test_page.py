"""`tracelink page` as a process, with a real Kafka and a real Elasticsearch."""

import json
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
import urllib3
from click.testing import CliRunner

from pipeline.cli.root import main
from pipeline.local.ports import Ports, free_port
from pipeline.local.stack import Endpoints, Stack
from pipeline.model.problems import PROBLEM, Problem
from sinks.base.contract import Outcome
from sinks.elasticsearch.settings import ElasticsearchSettings
from sinks.elasticsearch.sink import ElasticsearchSink
from tests.kit.alerts import problem
from tests.kit.http import http_request
from tests.kit.kafka import publish
from tests.kit.processes import Process, running
from tests.kit.sink_examples import ERRORED, ROOT, START, batch, log, new_trace_id, part, span
from tests.kit.sink_targets import NOWHERE, metrics, search
from tests.kit.sink_topics import Topics
from tests.kit.waiting import PATIENCE, wait_for
from tracelink.model.records import LogRecord, Span

TOKEN = "0123456789abcdef"  # noqa: S105 - of a test
RANGE = {"from": "2025-12-31", "to": "2026-01-02"}


@dataclass(frozen=True)
class Page:
    """A page that listens."""

    url: str
    process: Process

    def get(self, target: str, **headers: str) -> urllib3.BaseHTTPResponse:
        return http_request("GET", self.url + target, headers=headers, redirect=False, retries=False)

    def text(self, target: str, status: int = 200) -> str:
        answer = self.get(target)
        assert answer.status == status, answer.data.decode()
        return answer.data.decode()

    def until(self, target: str, said: str) -> str:
        """Return a page, once it says so."""
        seen = ""

        def says() -> str:
            nonlocal seen
            seen = self.get(target).data.decode()
            return seen if said in seen else ""

        return wait_for(f"{said!r} on {target}; its log: {self.process.output()}", says)

    def traces(self, **query: str) -> list[str]:
        """Return the ids of the traces that a search finds, the newest first."""
        found = re.findall(
            r'<th scope="row"><a href="/traces/([0-9a-f]+)', self.text(f"/traces?{urlencode(RANGE | query)}")
        )
        return list(map(str, found))


@contextmanager
def page(folder: Path, kafka: str, elasticsearch: str, **settings: str) -> Iterator[Page]:
    """Run the page on a free port, and wait until it listens."""
    port = free_port()
    environment = {
        "TRACELINK_KAFKA_BOOTSTRAP_SERVERS": kafka,
        "TRACELINK_ELASTICSEARCH_URL": elasticsearch,
        "TRACELINK_PAGE_LISTEN": f"127.0.0.1:{port}",
    } | {f"TRACELINK_{name.upper()}": value for name, value in settings.items()}
    with running("page", log=folder / "page.log", **environment) as process:
        made = Page(f"http://127.0.0.1:{port}", process)
        wait_for(f"it listens; its log: {process.output()}", lambda: _listens(made))
        yield made


def _listens(made: Page) -> bool:
    try:
        return made.get("/static/style.css").status == 200
    except urllib3.exceptions.HTTPError:
        return False


class Stored:
    """What is in the Elasticsearch of the tests, under a prefix."""

    def __init__(self, stack: Endpoints, prefix: str) -> None:
        self.url, self.prefix = stack.elasticsearch, prefix
        self._sink = ElasticsearchSink(
            ElasticsearchSettings.load(elasticsearch_url=stack.elasticsearch, index_prefix=prefix), metrics()
        )

    def write(self, spans: Sequence[Span], logs: Sequence[LogRecord], name: str = "s0-1") -> str:
        """Write a part; return the id of its trace."""
        made = part(spans, logs, name=name)
        assert self._sink.write(batch(made)).parts == [Outcome.WRITTEN]
        search(self.url, f"{self.prefix}*", {"query": {"match_all": {}}})
        return made.trace["traceId"].hex()

    def command(self, *arguments: str) -> str:
        """Return what `tracelink trace` prints."""
        flags = ["--elasticsearch-url", self.url, "--index-prefix", self.prefix]
        result = CliRunner().invoke(main, ["trace", *arguments, *flags])
        assert result.exit_code == 0, result.output
        return result.output


@pytest.fixture
def stored(stack: Endpoints, index_prefix: str) -> Stored:
    return Stored(stack, index_prefix)


@pytest.fixture
def topics(stack: Endpoints, topic_prefix: str) -> Topics:
    return Topics(stack.kafka, topic_prefix)


@pytest.fixture
def shown(stack: Endpoints, stored: Stored, topics: Topics, topic_prefix: str, tmp_path: Path) -> Iterator[Page]:
    settings = {"topic_prefix": topic_prefix, "index_prefix": stored.prefix}
    assert topics.brokers == stack.kafka
    with page(tmp_path, stack.kafka, stack.elasticsearch, **settings) as made:
        made.process.wait_until_ready()
        yield made
        assert made.process.stop() == 0


def put(topics: Topics, *problems: Problem) -> None:
    publish(
        topics.brokers, topics.names.problems, [(one["fingerprint"].encode(), PROBLEM.encode(one)) for one in problems]
    )


def call(trace_id: bytes, **fields: object) -> tuple[list[Span], list[LogRecord]]:
    """Return a call that failed in the payment, with its lines."""
    spans = [
        span(trace_id, "00000000000000a1", flags=ROOT, **fields),
        span(
            trace_id,
            "00000000000000b2",
            parentId="00000000000000a1",
            kind="CLIENT",
            name="charge",
            flags=ERRORED,
            timestamp=START + 2_000,
            duration=9_000,
            localEndpoint={"serviceName": "payment"},
            tags={"error": "gone"},
        ),
    ]
    logs = [
        log(trace_id, spanId="00000000000000a1", message="asked for the payment"),
        log(
            trace_id,
            spanId="00000000000000b2",
            service="payment",
            level="ERROR",
            message="the card was declined",
            flags=ERRORED,
            timestamp=START + 5_000,
        ),
    ]
    return spans, logs


def test_a_trace_is_on_its_page_and_its_json_is_that_of_the_command(shown: Page, stored: Stored) -> None:
    trace_id = new_trace_id()
    spans, logs = call(trace_id)
    stored.write(spans, logs)
    late = log(trace_id, message="a late line", timestamp=START + 7_000)
    stored.write([], [late], name="l0-2")
    identity = trace_id.hex()
    for spelled in (identity, identity.upper(), f"00-{identity}-00000000000000a1-01"):
        text = shown.text(f"/traces/{spelled}")
        for said in ("2 spans and 3 log lines of 2 services", "charge", "the card was declined", "a late line"):
            assert said in text
        assert text.index("asked for the payment") < text.index("charge") < text.index("the card was declined")
        assert "It came in 2 parts" in text
    whole = shown.get(f"/traces/{identity}.json")
    assert json.loads(whole.data) == json.loads(stored.command(identity, "--json"))
    assert shown.get(f"/traces/{identity}.txt").data.decode().splitlines() == stored.command(identity).splitlines()
    assert [one["id"] for one in json.loads(shown.get(f"/traces/{identity}.zipkin.json").data)] == [
        "00000000000000a1",
        "00000000000000b2",
    ]
    at = shown.text(f"/traces/{identity}?at={quote(late['id'])}")
    assert f"<dd>{late['id']}</dd>" in at
    missing = shown.text(f"/traces/{new_trace_id().hex()}", 404)
    assert "Elasticsearch has nothing of this trace" in missing


def test_a_trace_of_many_records_opens_at_its_error_and_has_pages(shown: Page, stored: Stored) -> None:
    trace_id = new_trace_id()
    root = span(trace_id, "00000000000000a1", flags=ROOT, duration=20_000_000)
    calls = [
        span(
            trace_id,
            f"{number:016x}",
            parentId="00000000000000a1",
            name=f"call {number}",
            timestamp=START + number * 1000,
        )
        for number in range(0x1000, 0x1000 + 9_999)
    ]
    calls[7_000] = Span(**(calls[7_000] | {"flags": ERRORED, "tags": {"error": "gone"}}))
    logs = [
        log(trace_id, spanId=calls[number % 9_999]["id"], message=f"line {number}", timestamp=START + number * 1000 + 1)
        for number in range(10_000)
    ]
    stored.write([root, *calls], logs)
    identity = trace_id.hex()
    text = shown.text(f"/traces/{identity}")
    assert "10,000 spans and 10,000 log lines" in text
    assert "the error began here" in text
    assert f"call {0x1000 + 7_000}" in text
    # The root, 9,999 calls and 10,000 lines, 400 a page; the failed call has 7,000 calls with a line each before it.
    assert "page 36 of 50" in text
    # The rows of the page, and the root, which says where they are.
    assert text.count('<div class="row">') == 401
    last = shown.text(f"/traces/{identity}?page=50")
    assert "Next" not in last
    filtered = shown.text(f"/traces/{identity}?text=line+99")
    assert "line 9999" in filtered
    assert "page 1 of 1" not in filtered
    assert filtered.count('<div class="row">') <= 401


def test_traces_are_found_by_each_field(shown: Page, stored: Stored) -> None:
    first, second, third = new_trace_id(), new_trace_id(), new_trace_id()
    failed = stored.write(*call(first))
    slow = stored.write(
        [span(second, flags=ROOT, timestamp=START + 60_000_000, duration=3_000_000)],
        [log(second, message="a slow answer", timestamp=START + 60_000_000)],
    )
    only_lines = stored.write([], [log(third, service="stock", message="nothing in stock", timestamp=START + 1)])
    assert shown.traces() == [slow, *sorted([failed, only_lines], key=[only_lines, failed].index)]
    assert shown.traces(service="payment") == [failed]
    assert shown.traces(service="stock") == [only_lines]
    assert shown.traces(operation="charge") == [failed]
    assert shown.traces(operation="charge", service="stock") == []
    assert shown.traces(tag="http.method=GET") == [slow, failed]
    assert shown.traces(tag="http.method=POST") == []
    assert shown.traces(errored="1") == [failed]
    assert shown.traces(min="1000") == [slow]
    assert shown.traces(max="1000") in ([failed], [failed, only_lines], [only_lines, failed])
    assert shown.traces(text="declined") == [failed]
    assert shown.traces(text='"slow answer"') == [slow]
    assert shown.traces(text='"answer slow"') == []
    assert shown.traces(text="answer", errored="1") == []
    assert shown.traces(text="stock", service="stock") == [only_lines]
    assert shown.traces(**{"from": "2026-01-01T00:00:30", "to": "2026-01-01T00:02"}) == [slow]
    text = shown.text(f"/traces?{urlencode(RANGE)}")
    assert "<rect" in text
    assert "GET " in text
    # The first error is said beside the trace.
    assert "the card was declined" in shown.text(f"/traces?{urlencode(RANGE | {'errored': '1'})}")


@pytest.mark.parametrize(
    "query",
    [
        {"from": "1970-01-01", "to": "2262-04-11"},
        {"text": '+ | ( " - ~', "from": "1d"},
        {"text": "hel* " * 100, "from": "1d"},
        {"text": "-nothing", "from": "3650d"},
        {"tag": "a*..=x", "from": "1d"},
        {"tag": "a=*", "from": "1d"},
        {"service": "*", "operation": "?", "from": "1s"},
        {"page": "100", "from": "3650d"},
    ],
)
def test_any_search_is_answered(shown: Page, stored: Stored, query: dict[str, str]) -> None:
    stored.write(*call(new_trace_id()))
    text = shown.text(f"/traces?{urlencode(query)}")
    assert "The query of Elasticsearch" in text


def test_a_line_of_a_trace_that_began_long_before_is_found(shown: Page, stored: Stored) -> None:
    trace_id = new_trace_id()
    early = span(trace_id, timestamp=START - 365 * 86_400_000_000)
    identity = stored.write([early], [log(trace_id, message="a wrong clock")])
    assert shown.traces(**{"text": "clock", "from": "2026-01-01T00:00:00", "to": "2026-01-01T00:00:10"}) == [identity]


def test_problems_are_shown_and_changed_while_they_are_looked_at(shown: Page, topics: Topics, stored: Stored) -> None:
    trace_id = new_trace_id()
    stored.write(*call(trace_id))
    assert "0 firing" in shown.until("/", "No problem is known")
    with _listening(shown) as stream:
        _next_change(stream)
        put(topics, problem("a1b2", newest=[{"traceId": trace_id.hex(), "time": START // 1000, "duration": 20_000}]))
        _next_change(stream)
        assert "CardDeclined" in shown.text("/")
        put(topics, problem("a1b2", status="QUIET"), problem("c3d4", service="shop", services=["shop"]))
        _next_change(stream)
    text = shown.until("/", "1 of 2 known problems; 1 firing")
    assert "/problems/c3d4" in text
    assert "/problems/a1b2" in shown.text("/?status=resolved")
    put(topics, problem("a1b2", newest=[{"traceId": trace_id.hex(), "time": START // 1000, "duration": 20_000}]))
    whole = shown.until("/problems/a1b2", ">firing<")
    for said in ("the error began here", "asked for the payment", "charge", f"/traces/{trace_id.hex()}", "Runbook"):
        assert said in whole
    # An empty record removes a problem.
    publish(topics.brokers, topics.names.problems, [(b"a1b2", None)])
    shown.until("/", "1 of 1 known problems")
    assert "There is no problem a1b2" in shown.text("/problems/a1b2", 404)


@contextmanager
def _listening(shown: Page) -> Iterator[urllib3.BaseHTTPResponse]:
    stream = http_request("GET", f"{shown.url}/live", preload_content=False, timeout=PATIENCE)
    assert stream.headers["content-type"].startswith("text/event-stream")
    try:
        yield stream
    finally:
        stream.close()


def _next_change(stream: urllib3.BaseHTTPResponse) -> None:
    """Wait for the next event."""
    said = b""
    while not said.endswith(b"event: changed\ndata:\n\n"):
        read = stream.read(1)
        assert read, said
        said += read


def test_it_ends_while_it_is_looked_at(stack: Endpoints, topics: Topics, topic_prefix: str, tmp_path: Path) -> None:
    assert topics.names
    with (
        page(tmp_path, stack.kafka, stack.elasticsearch, topic_prefix=topic_prefix) as made,
        _listening(made) as stream,
    ):
        _next_change(stream)
        assert made.process.stop() == 0
        assert "Traceback" not in made.process.output()


def test_a_store_that_is_not_there_is_said_and_the_problems_are_shown(
    stack: Endpoints, topics: Topics, topic_prefix: str, tmp_path: Path
) -> None:
    put(topics, problem("a1b2"))
    with page(tmp_path, stack.kafka, NOWHERE, topic_prefix=topic_prefix) as made:
        made.until("/", "CardDeclined")
        for target in ("/traces", f"/traces/{new_trace_id().hex()}", f"/traces/{new_trace_id().hex()}.json"):
            assert "does not answer" in made.text(target, 503)
        text = made.text("/problems/a1b2")
        assert "does not answer" in text
        assert "declined by the bank" in text


def test_a_store_that_never_answers_is_said(
    unanswering: str, stack: Endpoints, topics: Topics, topic_prefix: str, tmp_path: Path
) -> None:
    put(topics, problem("a1b2"))
    settings = {"topic_prefix": topic_prefix, "store_timeout": "0.5", "max_searches": "1"}
    with page(tmp_path, stack.kafka, unanswering, **settings) as made:
        made.until("/", "CardDeclined")
        assert "does not answer" in made.text("/traces", 503)
        assert "does not answer" in made.text(f"/traces/{new_trace_id().hex()}", 503)
        assert made.process.stop() == 0


def test_without_kafka_it_ends_soon(unanswering: str, tmp_path: Path) -> None:
    kafka = unanswering.removeprefix("http://")
    with page(tmp_path, kafka, NOWHERE) as made:
        assert made.process.stop(seconds=8) == 0


def test_without_kafka_the_page_comes_up_says_so_and_recovers(
    own_stack: Path, stack: Endpoints, tmp_path: Path
) -> None:
    port = free_port()
    kafka = f"127.0.0.1:{port}"
    with page(tmp_path, kafka, stack.elasticsearch) as made:
        text = made.until("/", "The list may be out of date")
        assert "0 of 0 known problems" in text
        assert made.text("/traces")
        made.until("/problems/a1b2", "There is no problem a1b2")
        assert made.get("/problems/a1b2").status == 503
        with Stack(own_stack, ports=Ports(kafka=port, zipkin=0, elasticsearch=0), only=["kafka"]) as own:
            assert own.start().kafka == kafka
            # The topic is missing, which is said, too.
            made.until("/", "Kafka has no topic tracelink.problems")
            put(Topics(kafka, "tracelink."), problem("a1b2"))
            assert "out of date" not in made.until("/", "CardDeclined")
            made.process.wait_until_ready()
        assert made.process.stop() == 0


def test_with_a_token_only_who_has_it_sees_the_page(stack: Endpoints, tmp_path: Path) -> None:
    with page(tmp_path, stack.kafka, stack.elasticsearch, page_token=TOKEN) as made:
        for target in ("/", "/traces", "/live", "/static/../traces", f"/traces/{new_trace_id().hex()}"):
            for host in ("127.0.0.1", "x/static/?", "["):
                assert made.get(target, host=host).status == 401
        form = urlencode({"token": TOKEN, "target": "/traces?text=x"})
        kind = {"content-type": "application/x-www-form-urlencoded"}
        right = http_request("POST", f"{made.url}/login", body=form, headers=kind, redirect=False)
        assert (right.status, right.headers["location"]) == (303, "/traces?text=x")
        cookie = right.headers["set-cookie"].partition(";")[0]
        assert made.get("/traces", cookie=cookie).status == 200
        assert TOKEN not in made.process.output()


@pytest.mark.parametrize("target", ["/%ff", "/traces/%ed%a0%80", "/?text=%ff%00", "/problems/%00%0a", "/traces/a%2Fb"])
def test_an_address_of_any_bytes_is_answered(stack: Endpoints, tmp_path: Path, target: str) -> None:
    with page(tmp_path, stack.kafka, stack.elasticsearch) as made:
        with socket.create_connection(("127.0.0.1", int(made.url.rpartition(":")[2]))) as client:
            client.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            answer = client.makefile("rb").read().decode()
        assert answer.split()[1] in {"200", "400", "404", "503"}
        assert "content-security-policy" in answer
        assert "Traceback" not in made.process.output()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"page_listen": "0.0.0.0:{port}"}, "everybody on the network could read traces and log lines"),
        ({"page_token": "short"}, "TRACELINK_PAGE_TOKEN has fewer than 16 characters"),
        ({"page_listen": "127.0.0.1:{taken}"}, "choose another address with --page-listen"),
        ({"page_listen": "page:80"}, "TRACELINK_PAGE_LISTEN"),
        ({"elasticsearch_url": "nowhere"}, "TRACELINK_ELASTICSEARCH_URL"),
    ],
)
def test_what_it_cannot_start_with_is_one_line(
    servers: Path, tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    assert servers
    with socket.create_server(("127.0.0.1", 0)) as taken:
        places = {"port": f"{free_port()}", "taken": f"{taken.getsockname()[1]}"}
        environment = {f"TRACELINK_{name.upper()}": value.format(**places) for name, value in settings.items()}
        with running("page", log=tmp_path / "page.log", **environment) as process:
            assert process.wait() == 1
    (line,) = [one for one in process.output().splitlines() if one]
    assert line.startswith("Error: ")
    assert said in line
