"""The proxy of the test kit: it passes everything on, and each mode does what it says, in front of real servers."""

import gzip
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import IncompleteRead
from typing import Any

import orjson
import pytest
import urllib3
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from pipeline.local.stack import Endpoints
from sinks.base.contract import Batch, Outcome, UnlinkedLog
from sinks.elasticsearch.settings import ElasticsearchSettings
from sinks.elasticsearch.sink import ElasticsearchSink
from sinks.zipkin.settings import ZipkinSettings
from sinks.zipkin.sink import ZipkinSink
from tests.kit.http import http_request
from tests.kit.http_stub import Request, stub
from tests.kit.proxy import Mode, Proxy, cut, half_answer, items, refuse, slow, status
from tests.kit.sink_examples import UNLINKED, log, message, new_trace_id, part, span
from tests.kit.sink_targets import metrics, search
from tests.kit.waiting import eventually
from tracelink.errors import Unavailable
from tracelink.model.codec import LOG_RECORD

BULK = ("POST", "/_bulk")
FILTER = "?filter_path=items.*.status,items.*.error"
REJECTED = "es_rejected_execution_exception"


class Client:
    """Writes through the proxy with one connection, repeats nothing, and looks into Elasticsearch past the proxy."""

    def __init__(self, proxy: Proxy, elasticsearch: str, index: str) -> None:
        self.proxy = proxy
        self._elasticsearch = elasticsearch
        self.index = index
        self.pool = urllib3.connectionpool.connection_from_url(proxy.url, maxsize=1, retries=False, timeout=10)

    def lines(self, ids: Sequence[str]) -> bytes:
        lines = [({"create": {"_index": self.index, "_id": one}}, {"text": one * 50}) for one in ids]
        return b"".join(orjson.dumps(line) + b"\n" for pair in lines for line in pair)

    def write(self, *ids: str, query: str = "", **options: Any) -> urllib3.BaseHTTPResponse:  # noqa: ANN401 - urllib3's
        headers = {"Content-Type": "application/x-ndjson"}
        return self.pool.request("POST", f"/_bulk{query}", body=self.lines(ids), headers=headers, **options)

    def results(self, *ids: str, query: str = "") -> dict[str, int]:
        """Write, and give the status of each document."""
        said = self.write(*ids, query=query).json()["items"]
        return {one: item["create"]["status"] for one, item in zip(ids, said, strict=True)}

    def read(self) -> int:
        return self.pool.request("GET", "/").status

    def stored(self) -> list[str]:
        return sorted(hit["_id"] for hit in search(self._elasticsearch, self.index, {"size": 1000}))


@pytest.fixture
def proxy(stack: Endpoints) -> Iterator[Proxy]:
    with Proxy(stack.elasticsearch) as made:
        yield made


@pytest.fixture
def client(proxy: Proxy, stack: Endpoints, index_prefix: str) -> Iterator[Client]:
    made = Client(proxy, stack.elasticsearch, f"{index_prefix}docs")
    yield made
    made.pool.close()


def ids(count: int) -> list[str]:
    return [f"d{number:03}" for number in range(count)]


def test_answers_pass_as_the_server_gives_them(client: Client, stack: Endpoints) -> None:
    client.write("a")
    # In chunks, refused, without a body, with a body of known length.
    paths = f"/{client.index}/_mapping?pretty", "/no-such-index", "/", f"/{client.index}/_doc/a"
    for method, path in zip(("GET", "GET", "HEAD", "GET"), paths, strict=True):
        direct = http_request(method, stack.elasticsearch + path)
        passed = client.pool.request(method, path)
        assert (passed.status, passed.data) == (direct.status, direct.data)
        expected = direct.headers.copy()
        if expected.pop("Transfer-Encoding", None):
            expected["Content-Length"] = str(len(direct.data))
        assert sorted(name.lower() for name, _ in passed.headers.items()) == sorted(map(str.lower, expected))
        assert passed.headers == expected
    assert client.pool.num_connections == 1
    assert client.proxy.seen == {}


def test_requests_pass_as_the_client_sends_them_and_nothing_is_unpacked() -> None:
    seen: list[Request] = []

    def answer(request: Request) -> tuple[int, object]:
        seen.append(request)
        return 200, {}

    with stub(answer, {"Content-Encoding": "gzip"}) as upstream, Proxy(upstream + "/") as proxy:
        headers = {"Authorization": "ApiKey a2V5", "Connection": "keep-alive, X-Hop", "X-Hop": "1", "Accept": "x/y"}
        packed = {**headers, "Content-Encoding": "gzip"}
        url, body = f"{proxy.url}/a/_bulk?x=%2C", gzip.compress(b"abc")
        found = http_request("PUT", url, body=body, headers=packed, decode_content=False)
        assert (found.headers["Content-Encoding"], found.data) == ("gzip", b"{}")
        url, chunks = f"{proxy.url}/b", iter([b"ab", b"c"])
        http_request("POST", url, body=chunks, headers=headers, decode_content=False)
    assert [(one.method, one.path, one.body) for one in seen] == [
        ("PUT", "/a/_bulk?x=%2C", b"abc"),
        ("POST", "/b", b"abc"),
    ]
    for one in seen:
        assert (one.headers["authorization"], one.headers["accept"]) == ("ApiKey a2V5", "x/y")
        assert one.headers["host"] == upstream.removeprefix("http://")
        assert "x-hop" not in one.headers
    assert [one.headers["content-length"] for one in seen] == [str(len(body)), "3"]


@pytest.mark.parametrize(("code", "kind"), [(429, REJECTED), (503, REJECTED), (401, "security_exception")])
def test_a_status_is_answered_and_nothing_is_written(client: Client, code: int, kind: str) -> None:
    client.proxy.misbehave(status(code, times=2))
    for _ in range(2):
        answer = client.write("a")
        assert (answer.status, answer.json()["error"]["type"]) == (code, kind)
        assert client.read() == 200
    assert client.stored() == []
    assert client.results("a") == {"a": 201}
    assert client.proxy.seen == {f"status {code}": 2}
    assert client.pool.num_connections == 1


def test_a_status_has_the_body_that_is_given(client: Client) -> None:
    client.proxy.misbehave(status(503, '"gone"'))
    assert client.write("a").json() == "gone"


def test_only_requests_of_more_bytes_are_too_large(client: Client) -> None:
    client.proxy.misbehave(status(413, larger_than=len(client.lines(ids(3)))))
    assert client.write(*ids(4)).status == 413
    assert set(client.results(*ids(3)).values()) == {201}
    assert client.stored() == ids(3)
    assert client.proxy.seen == {"status 413": 1}


def test_a_slow_answer_comes_in_the_end(client: Client) -> None:
    client.proxy.misbehave(slow(0.3))
    before = time.monotonic()
    assert client.results("a") == {"a": 201}
    assert time.monotonic() - before >= 0.3


def test_what_is_answered_too_late_is_written_all_the_same(client: Client) -> None:
    client.proxy.misbehave(slow(60, times=1))
    with pytest.raises(ReadTimeoutError):
        client.write("a", timeout=0.1)
    assert eventually(client.stored) == ["a"]
    assert client.results("a") == {"a": 409}


def test_a_cut_connection_hides_that_it_was_written(client: Client) -> None:
    client.proxy.misbehave(cut(times=1))
    with pytest.raises(ProtocolError):
        client.write("a")
    assert client.stored() == ["a"]
    assert client.results("a", "b") == {"a": 409, "b": 201}
    assert client.proxy.seen == {"cut": 1}


def test_every_second_write_is_cut_and_reads_do_not_count(client: Client) -> None:
    client.proxy.misbehave(cut(every=2, times=2))
    for one in ("a", "b"):
        with pytest.raises(ProtocolError):
            client.write(one)
        assert client.read() == 200
        assert client.results(one) == {one: 409}
    assert client.results("c") == {"c": 201}
    assert client.proxy.seen == {"cut": 2}


def test_refused_requests_are_not_forwarded_whatever_they_ask(client: Client) -> None:
    assert client.read() == 200
    client.proxy.misbehave(refuse())
    with pytest.raises(ProtocolError):
        client.write("a")
    with pytest.raises(ProtocolError):
        client.read()
    client.proxy.behave()
    assert client.stored() == []
    assert client.results("a") == {"a": 201}
    assert client.proxy.seen == {"refuse": 2}


def test_half_an_answer_breaks_off_within_the_body(client: Client) -> None:
    client.proxy.misbehave(half_answer(times=1))
    with pytest.raises(ProtocolError) as raised:
        client.write("a")
    broken = raised.value.__cause__
    assert isinstance(broken, IncompleteRead)
    assert broken.expected is not None
    assert len(broken.partial) in {broken.expected, broken.expected - 1}
    assert client.stored() == ["a"]
    assert client.results("a") == {"a": 409}
    assert client.proxy.seen == {"half_answer": 1}


@pytest.mark.parametrize("query", ["", FILTER], ids=["whole", "filtered"])
@pytest.mark.parametrize("code", [429, 503])
def test_exactly_the_items_that_are_answered_201_are_stored(client: Client, code: int, query: str) -> None:
    client.write("d003", "d004")
    client.proxy.misbehave(items(0.4, seed=1, status=code, unparsable={"d001", "d005"}))
    answer = client.write(*ids(40), query=query).json()
    results = {one: item["create"] for one, item in zip(ids(40), answer["items"], strict=True)}
    by_status = Counter(result["status"] for result in results.values())
    assert answer["errors"] is True
    assert client.proxy.seen == {"items": 1, f"item {code}": by_status[code], "item 400": 2}
    assert set(by_status) == {201, 400, 409, code}
    assert {one for one, result in results.items() if result["status"] == 400} == {"d001", "d005"}
    assert results["d001"]["error"]["type"] == "mapper_parsing_exception"
    assert {result["error"]["type"] for result in results.values() if result["status"] == code} == {REJECTED}
    created = {one for one, result in results.items() if result["status"] == 201}
    assert client.stored() == sorted(created | {"d003", "d004"})
    if not query:
        assert [result["_id"] for result in results.values()] == ids(40)


def test_a_seed_takes_the_same_items_again_and_a_repeat_others(client: Client) -> None:
    def taken() -> list[list[str]]:
        client.proxy.misbehave(items(0.5, seed=7))
        return [[one for one, code in client.results(*ids(20)).items() if code == 429] for _ in range(3)]

    first = taken()
    assert len({tuple(one) for one in first}) == 3
    assert taken() == first


def test_a_request_whose_items_are_all_taken_out_is_not_forwarded(client: Client) -> None:
    client.proxy.misbehave(items(1.0, seed=0, times=1))
    assert client.results(*ids(3)) == dict.fromkeys(ids(3), 429)
    assert client.stored() == []
    assert client.results(*ids(3)) == dict.fromkeys(ids(3), 201)


def test_items_are_taken_out_of_compressed_requests_too(client: Client) -> None:
    client.proxy.misbehave(items(0.0, seed=0, unparsable={"d001"}))
    headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
    answer = client.pool.request(*BULK, body=gzip.compress(client.lines(ids(3))), headers=headers)
    assert [item["create"]["status"] for item in answer.json()["items"]] == [201, 400, 201]
    assert client.stored() == ["d000", "d002"]


def test_limits_and_counts_hold_for_requests_at_once(client: Client) -> None:
    client.proxy.misbehave(status(429, times=25))
    with urllib3.PoolManager(maxsize=8) as pool, ThreadPoolExecutor(8) as threads:

        def write(one: str) -> int:
            return pool.request(*BULK[:1], client.proxy.url + BULK[1], body=client.lines([one])).status

        answered = Counter(threads.map(write, ids(50)))
    # Without its content type Elasticsearch refuses a bulk request, which is the quickest answer that is its own.
    assert answered == {429: 25, 406: 25}
    assert client.proxy.seen == {"status 429": 25}


def test_a_server_that_is_away_is_away_behind_the_proxy_until_it_is_back_elsewhere(
    client: Client, stack: Endpoints
) -> None:
    client.proxy.upstream = "http://127.0.0.1:1"
    with pytest.raises(ProtocolError):
        client.read()
    client.proxy.upstream = stack.elasticsearch
    assert client.read() == 200


def test_nothing_is_forwarded_twice(client: Client, stack: Endpoints) -> None:
    with Proxy(stack.elasticsearch) as broken:
        broken.misbehave(refuse())
        client.proxy.upstream = broken.url
        with pytest.raises(ProtocolError):
            client.pool.request("PUT", BULK[1], body=client.lines(["a"]))
        assert broken.seen == {"refuse": 1}


@pytest.mark.parametrize("mode", [None, slow(60)], ids=["idle", "slow"])
def test_nothing_is_left_when_it_is_closed(client: Client, stack: Endpoints, mode: Mode | None) -> None:
    before = set(threading.enumerate())
    with ThreadPoolExecutor(1) as threads:
        with Proxy(stack.elasticsearch) as proxy:
            port = int(proxy.url.rpartition(":")[2])
            held = Client(proxy, stack.elasticsearch, "none")
            assert held.read() == 200
            if mode:
                proxy.misbehave(mode)
                waiting = threads.submit(held.pool.request, *BULK, body=client.lines(["a"]))
                assert eventually(lambda: proxy.seen["slow"]) == 1
        if mode:
            with pytest.raises(ProtocolError):
                waiting.result()
        held.pool.close()
    assert set(threading.enumerate()) <= before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def lines_batch(count: int) -> Batch:
    records = [log(bytes(16), id=one) for one in ids(count)]
    return Batch(
        unlinked=tuple(
            UnlinkedLog(message(LOG_RECORD.encode(one), topic=UNLINKED, offset=number), one)
            for number, one in enumerate(records)
        )
    )


def sink(url: str, index_prefix: str) -> ElasticsearchSink:
    settings = ElasticsearchSettings.load(elasticsearch_url=url, index_prefix=index_prefix)
    return ElasticsearchSink(settings, metrics())


def test_the_sink_repeats_the_items_that_were_taken_out(proxy: Proxy, stack: Endpoints, index_prefix: str) -> None:
    proxy.misbehave(items(0.5, seed=3, unparsable={"d004"}, times=2))
    report = sink(proxy.url, index_prefix).write(lines_batch(30))
    assert report.records == {("log", Outcome.WRITTEN): 29, ("log", Outcome.DEAD_LETTER): 1}
    found = search(stack.elasticsearch, f"{index_prefix}logs-*", {"size": 100})
    assert sorted(hit["_id"] for hit in found) == sorted(set(ids(30)) - {"d004"})
    assert (proxy.seen["items"], proxy.seen["item 400"]) == (2, 1)
    assert proxy.seen["item 429"] > 0


@pytest.mark.parametrize("mode", [cut(times=1), half_answer(times=1), status(503, times=1)], ids=lambda one: one.name)
def test_the_sink_is_told_unavailable_and_a_repeat_settles_it(proxy: Proxy, index_prefix: str, mode: Mode) -> None:
    target = sink(proxy.url, index_prefix)
    proxy.misbehave(mode)
    with pytest.raises(Unavailable):
        target.write(lines_batch(2))
    written = Outcome.WRITTEN if mode.name == "status 503" else Outcome.DUPLICATE
    assert target.write(lines_batch(2)).records == {("log", written): 2}


@pytest.mark.parametrize("mode", [cut(times=1), half_answer(times=1), status(503, times=1)], ids=lambda one: one.name)
def test_spans_to_zipkin_meet_the_modes_and_its_searches_pass(stack: Endpoints, mode: Mode) -> None:
    trace_id = new_trace_id()
    with Proxy(stack.zipkin) as proxy:
        target = ZipkinSink(ZipkinSettings.load(zipkin_url=proxy.url), metrics())
        proxy.misbehave(mode)
        assert http_request("GET", f"{proxy.url}/api/v2/spans?serviceName=cart").status == 200
        with pytest.raises(Unavailable):
            target.write(Batch((part([span(trace_id)]),)))
        assert target.write(Batch((part([span(trace_id)]),))).parts == [Outcome.WRITTEN]
        assert proxy.seen == {mode.name: 1}


def test_items_are_taken_out_of_bulk_requests_only(stack: Endpoints) -> None:
    with Proxy(stack.zipkin) as proxy:
        proxy.misbehave(items(1.0, seed=0))
        target = ZipkinSink(ZipkinSettings.load(zipkin_url=proxy.url), metrics())
        target.write(Batch((part([span(new_trace_id())]),)))
        assert proxy.seen == {}
