"""The gateway's HTTP: paths, encodings, limits, and requests that are broken."""

import gzip
import json
import socket
import time
import zlib
from collections.abc import Iterator
from uuid import uuid4

import pytest
import urllib3
import zstandard
from google.rpc.status_pb2 import Status

from tests.kit.gateway import Running
from tests.kit.kafka_topics import read
from tests.kit.waiting import wait_for
from tracelink.model.codec import LOG_RECORD, SPAN
from tracelink.settings import KafkaSettings

PROTOBUF = "application/x-protobuf"
JSON = "application/json"


@pytest.fixture(scope="module")
def limits(limits: dict[str, str]) -> dict[str, str]:
    """Give times that the tests of this module wait for."""
    return limits | {"header_timeout": "3", "body_timeout": "5"}


@pytest.fixture
def trace_id() -> str:
    return uuid4().hex


@pytest.fixture
def pool() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False, timeout=30) as pool:
        yield pool


def _zipkin(trace_id: str, *ids: str) -> bytes:
    return json.dumps(
        [{"traceId": trace_id, "id": one, "name": "get /", "timestamp": 1_700_000_000_000_000} for one in ids]
    ).encode()


def _spans(where: KafkaSettings, trace_id: str) -> list[str]:
    found = [one for one in read(where) if one.key == trace_id.encode()]
    return sorted(SPAN.decode(one.value)["id"] for one in found)


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("zstd", zstandard.ZstdCompressor().compress),
        ("identity", bytes),
        (None, bytes),
    ],
)
def test_a_body_may_be_compressed(  # noqa: PLR0917 - fixtures, and the columns of the table
    door: Running, where: KafkaSettings, pool: urllib3.PoolManager, trace_id: str, encoding: str | None, encode: object
) -> None:
    headers = {"Content-Type": JSON} | ({"Content-Encoding": encoding} if encoding else {})
    body = encode(_zipkin(trace_id, "a"))  # type: ignore[operator]  # one of the compressors above
    answer = pool.request("POST", f"{door.url}/api/v2/spans", body=body, headers=headers)
    assert (answer.status, answer.data) == (202, b"")
    assert _spans(where, trace_id) == ["000000000000000a"]


def test_a_body_may_come_in_chunks_without_a_length(
    door: Running, where: KafkaSettings, pool: urllib3.PoolManager, trace_id: str
) -> None:
    body = gzip.compress(_zipkin(trace_id, *(f"{number:x}" for number in range(1, 200))))
    pieces = (body[at : at + 50] for at in range(0, len(body), 50))
    answer = pool.request("POST", f"{door.url}/api/v2/spans", body=pieces, headers={"Content-Encoding": "gzip"})
    assert answer.status == 202, answer.data
    assert len(_spans(where, trace_id)) == 199


def test_the_body_of_a_request_that_offers_http2_is_read_whole(
    door: Running, where: KafkaSettings, trace_id: str
) -> None:
    """Java's HttpClient sends such requests by default, and some servers lose their bodies."""
    body = _zipkin(trace_id, "b")
    head = (
        "POST /api/v2/spans HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        f"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    assert b" 202 " in _raw(door, head.encode() + body)
    assert _spans(where, trace_id) == ["000000000000000b"]


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs"])
@pytest.mark.parametrize(("content_type", "body", "answered"), [(PROTOBUF, b"", b""), (JSON, b"{}", b"{}")])
def test_an_empty_request_of_otlp_is_answered_with_success_in_its_encoding(  # noqa: PLR0917 - as above
    door: Running, pool: urllib3.PoolManager, path: str, content_type: str, body: bytes, answered: bytes
) -> None:
    answer = pool.request("POST", door.url + path, body=body, headers={"Content-Type": content_type})
    assert (answer.status, answer.data) == (200, answered)


@pytest.mark.parametrize("body", [b"[]", b""])
@pytest.mark.parametrize("path", ["/api/v2/spans", "/api/v1/spans"])
def test_an_empty_request_of_zipkin_is_answered_202(
    door: Running, pool: urllib3.PoolManager, path: str, body: bytes
) -> None:
    assert pool.request("POST", door.url + path, body=body, headers={"Content-Type": JSON}).status == 202


def test_metrics_are_accepted_and_dropped(door: Running, pool: urllib3.PoolManager) -> None:
    answer = pool.request("POST", f"{door.url}/v1/metrics", body=b"\x0a\x00", headers={"Content-Type": PROTOBUF})
    assert (answer.status, answer.data) == (200, b"")
    assert "OTEL_METRICS_EXPORTER=none" in door.process.output()


def test_lines_are_read_as_those_of_a_file_and_repeat_their_ids(
    door: Running, where: KafkaSettings, pool: urllib3.PoolManager, trace_id: str
) -> None:
    lines = [
        {"time": "2026-01-01T00:00:00Z", "message": f"line {n}", "traceId": trace_id, "level": "error"} for n in (1, 2)
    ]
    body = "\n".join(map(json.dumps, lines)).encode()
    for _ in range(2):
        answer = pool.request(
            "POST", f"{door.url}/v1/lines", body=body, headers={"Content-Type": "application/x-ndjson"}
        )
        assert (answer.status, answer.json()) == (200, {"taken": 2, "refused": 0})
    found = [LOG_RECORD.decode(one.value) for one in read(where) if one.key == trace_id.encode()]
    assert sorted(one["message"] for one in found) == ["line 1", "line 1", "line 2", "line 2"]
    assert len({one["id"] for one in found}) == 2


def test_a_broken_line_is_refused_alone_and_by_its_number(door: Running, pool: urllib3.PoolManager) -> None:
    body = b'{"time":"2026-01-01T00:00:00Z","message":"good"}\n{"message": }\n'
    answer = pool.request("POST", f"{door.url}/v1/lines", body=body)
    assert answer.status == 200
    assert (answer.json()["taken"], answer.json()["refused"]) == (1, 1)
    assert "line 2" in answer.json()["error"]


def test_a_broken_span_of_otlp_is_a_partial_success(
    door: Running, where: KafkaSettings, pool: urllib3.PoolManager, trace_id: str
) -> None:
    good = {"traceId": trace_id, "spanId": "00f067aa0ba902b7", "name": "x", "startTimeUnixNano": "1700000000000000000"}
    request = {"resourceSpans": [{"scopeSpans": [{"spans": [good, {**good, "spanId": "?"}]}]}]}
    answer = pool.request("POST", f"{door.url}/v1/traces", json=request)
    said = answer.json()["partialSuccess"]
    assert answer.status == 200
    assert said["rejectedSpans"] == "1"
    assert "1 of 2 records were refused" in said["errorMessage"]
    assert _spans(where, trace_id) == ["00f067aa0ba902b7"]


def test_a_broken_span_of_zipkin_is_answered_400_and_the_others_are_taken(
    door: Running, where: KafkaSettings, pool: urllib3.PoolManager, trace_id: str
) -> None:
    body = json.dumps([*json.loads(_zipkin(trace_id, "a")), {"traceId": "?", "id": "1"}])
    answer = pool.request("POST", f"{door.url}/api/v2/spans", body=body)
    assert answer.status == 400
    assert b"1 of 2 records were refused" in answer.data
    assert b"All others were taken" in answer.data
    assert _spans(where, trace_id) == ["000000000000000a"]


@pytest.mark.parametrize(
    ("method", "path", "content_type", "status", "said"),
    [
        ("POST", "/", JSON, 404, "/v1/traces"),
        ("POST", "/v1/trace", JSON, 404, "/v1/traces"),
        ("GET", "/v1/traces", JSON, 405, "takes POST"),
        ("POST", "/v1/traces", "text/plain", 415, "application/x-protobuf"),
        ("POST", "/api/v2/spans", "application/x-thrift", 415, "application/json or application/x-protobuf"),
        ("POST", "/v1/traces", JSON, 400, ""),
        ("POST", "/v1/traces", PROTOBUF, 400, ""),
        ("POST", "/v1/logs", JSON, 400, ""),
        ("POST", "/api/v2/spans", JSON, 400, ""),
        ("POST", "/api/v2/spans", PROTOBUF, 400, ""),
        ("POST", "/v1/lines", JSON, 400, "line 1"),
    ],
)
def test_a_request_that_cannot_be_read_is_refused_in_words(  # noqa: PLR0917 - the columns of the table
    door: Running, pool: urllib3.PoolManager, method: str, path: str, content_type: str, status: int, said: str
) -> None:
    answer = pool.request(method, door.url + path, body=b'{"x"', headers={"Content-Type": content_type})
    assert answer.status == status
    text = (
        Status.FromString(answer.data).message if content_type == PROTOBUF and "v1/" in path else answer.data.decode()
    )
    assert said in text
    assert text.strip()


@pytest.mark.parametrize("encoding", ["br", "lz4", "gzip, gzip"])
def test_a_compression_that_is_not_known_is_refused_with_those_that_are(
    door: Running, pool: urllib3.PoolManager, encoding: str
) -> None:
    answer = pool.request("POST", f"{door.url}/api/v2/spans", body=b"x", headers={"Content-Encoding": encoding})
    assert answer.status == 415
    assert b"gzip" in answer.data


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(bytes(100_000_000))),
        ("zstd", zstandard.ZstdCompressor().compress(bytes(100_000_000))),
        ("deflate", zlib.compress(bytes(100_000_000))),
        ("identity", bytes(2_000_000)),
    ],
    ids=["gzip", "zstd", "deflate", "identity"],
)
@pytest.mark.parametrize("in_chunks", [False, True])
def test_a_body_that_is_too_large_once_it_is_decompressed_is_refused(
    door: Running,
    pool: urllib3.PoolManager,
    encoding: str,
    body: bytes,
    in_chunks: bool,  # noqa: FBT001 - drawn
) -> None:
    sent = iter([body[:1000], body[1000:]]) if in_chunks else body
    headers = {"Content-Encoding": encoding}
    answer = pool.request("POST", f"{door.url}/api/v2/spans", body=sent, headers=headers)
    assert answer.status == 413


@pytest.mark.parametrize("path", ["/api/v2/spans", "/v1/lines", "/v1/traces"])
def test_too_many_records_are_refused_before_they_are_read(door: Running, pool: urllib3.PoolManager, path: str) -> None:
    body = {
        "/api/v2/spans": b"[" + b"{}," * 5000 + b"{}]",
        "/v1/lines": b"a\n" * 5001,
        "/v1/traces": b"\x0a\x95\x4e\x12\x92\x4e" + b"\x12\x00" * 5001,  # a scope of empty spans
    }[path]
    content_type = PROTOBUF if path == "/v1/traces" else JSON
    answer = pool.request("POST", door.url + path, body=body, headers={"Content-Type": content_type})
    assert answer.status == 413, answer.data
    assert b"5000" in answer.data


def test_deep_nesting_is_refused(door: Running, pool: urllib3.PoolManager) -> None:
    for path in ("/api/v2/spans", "/v1/traces"):
        body = b"[" * 10_000 + b"]" * 10_000
        assert pool.request("POST", door.url + path, body=body, headers={"Content-Type": JSON}).status == 400


@pytest.mark.parametrize(
    "head",
    [
        "Content-Length: 300\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n40\r\n",
        "Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n",
    ],
)
def test_a_body_that_is_cut_off_is_not_taken_for_whole(door: Running, head: str, trace_id: str) -> None:
    before = door.counted("requests_total", status="202"), door.counted("requests_total", status="400")
    with socket.create_connection(("127.0.0.1", door.port), timeout=10) as sender:
        sender.sendall(f"POST /api/v2/spans HTTP/1.1\r\nHost: x\r\n{head}".encode() + _zipkin(trace_id, "a")[:30])
    deadline = time.monotonic() + 10
    while door.counted("requests_total", status="400") == before[1]:
        assert time.monotonic() < deadline, "it is not counted as refused"
    assert door.counted("requests_total", status="202") == before[0]


@pytest.mark.parametrize("head", ["", "Content-Length: 300\r\n\r\n[", "Transfer-Encoding: chunked\r\n\r\n"])
def test_headers_and_bodies_that_do_not_come_are_not_waited_for(door: Running, head: str) -> None:
    found = _raw(door, f"POST /api/v2/spans HTTP/1.1\r\nHost: x\r\n{head}".encode())
    assert found == b"" if not head else b" 408 " in found


def test_a_connection_that_sends_nothing_is_closed(door: Running) -> None:
    assert _raw(door, b"") == b""


@pytest.mark.parametrize(
    "head",
    [
        "Content-Length: 2\r\nContent-Length: 3\r\n\r\n[]",
        "Content-Length: -1\r\n\r\n",
        "Content-Length: 2, 3\r\n\r\n[]",
    ],
)
def test_lengths_that_contradict_each_other_are_refused(door: Running, head: str) -> None:
    assert b" 400 " in _raw(door, f"POST /api/v2/spans HTTP/1.1\r\nHost: x\r\n{head}".encode())


def test_the_metrics_count_every_record(door: Running, pool: urllib3.PoolManager, trace_id: str) -> None:
    names = ("received_records_total", "written_records_total", "refused_records_total", "requests_total")
    before = [door.counted(name) for name in names]
    body = json.dumps([*json.loads(_zipkin(trace_id, "a", "b")), {"traceId": "?", "id": "1"}])
    for one in (body, "[]", "no JSON"):
        pool.request("POST", f"{door.url}/api/v2/spans", body=one)
    assert [door.counted(name) - first for name, first in zip(names, before, strict=True)] == [3, 2, 1, 3]
    wait_for("nothing to be in hand", lambda: door.counted("in_hand_requests") == door.counted("in_hand_bytes") == 0)


def _raw(door: Running, request: bytes) -> bytes:
    """Send bytes, and return the first bytes of the answer; none if the gateway closes the connection."""
    with socket.create_connection(("127.0.0.1", door.port), timeout=20) as sender:
        sender.sendall(request)
        return sender.recv(1000)
