"""Clients in Java send to the gateway at their defaults."""

import json
from datetime import datetime
from typing import Any
from uuid import uuid4

import orjson
import pytest

from tests.integration.producers.gateway.arrivals import Arrivals
from tests.integration.producers.gateway.java.calling import call
from tests.kit.gateway import Running
from tests.kit.http import http_request
from tracelink.model.records import Flag


@pytest.mark.parametrize("encoding", ["JSON", "PROTO3"])
@pytest.mark.parametrize("library", ["urlconnection", "okhttp3"])
def test_brave(door: Running, arrivals: Arrivals, library: str, encoding: str) -> None:
    sent = call("brave", url=f"{door.url}/api/v2/spans", library=library, encoding=encoding)
    # Brave counts the spans of a request that was not answered with success.
    assert (sent["reported"], sent["dropped"]) == (3, 0)
    ids, begun = sent["span_ids"], sent["begun"]
    assert ids["server"] == sent["trace_id"]
    found = arrivals.spans()
    for span in found:
        # Brave adds the address of the machine, if it finds one.
        span["localEndpoint"] = span["localEndpoint"]["serviceName"]
    common = {"traceId": bytes.fromhex(sent["trace_id"].zfill(32)), "localEndpoint": "checkout"}
    assert found == [
        common
        | {
            "flags": Flag.ERROR | Flag.SHORT_ID,
            "id": ids["call"],
            "parentId": ids["server"],
            "kind": "CLIENT",
            "name": "charge",
            "timestamp": begun + 1000,
            "duration": 2000,
            "remoteEndpoint": {"serviceName": "payments", "ipv4": "10.1.2.3", "port": 8443},
            "tags": {"error": "declined"},
        },
        common
        | {
            "flags": Flag.ROOT | Flag.SHORT_ID,
            "id": ids["server"],
            "kind": "SERVER",
            "name": "post /orders",
            "timestamp": begun,
            "duration": 6000,
            "tags": {"http.path": "/orders/{id}"},
        },
        common
        | {
            "flags": Flag.SHORT_ID,
            "id": ids["message"],
            "parentId": ids["server"],
            "kind": "PRODUCER",
            "name": "send",
            "timestamp": begun + 4000,
            "duration": 1000,
            "annotations": [{"timestamp": begun + 4500, "value": "buffered"}],
        },
    ]


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_the_client_of_the_jdk(door: Running, arrivals: Arrivals, *, chunked: bool) -> None:
    """It offers an upgrade to HTTP/2 with each request: some servers lose the bodies of such requests."""
    trace = uuid4()
    root: dict[str, Any] = {"traceId": trace.hex, "id": "a".zfill(16), "name": "post /orders", "kind": "SERVER"}
    root |= {"timestamp": 1_700_000_000_000_000, "duration": 9, "localEndpoint": {"serviceName": "checkout"}}
    child = root | {"id": "b".zfill(16), "parentId": root["id"], "name": "charge", "kind": "CLIENT"}
    child |= {"tags": {"error": "declined"}}
    sent = call("http_client", url=f"{door.url}/api/v2/spans", body=json.dumps([root, child]), chunked=chunked)
    assert sent == {"asked_for": "HTTP_2", "got": "HTTP_1_1", "status": 202, "text": ""}
    assert arrivals.spans() == [
        child | {"traceId": trace.bytes, "flags": Flag.ERROR},
        root | {"traceId": trace.bytes, "flags": Flag.ROOT},
    ]


def test_lines_of_logback(door: Running, arrivals: Arrivals) -> None:
    sent = call("logback")
    answer = http_request(
        "POST",
        f"{door.url}/v1/lines",
        body=sent["lines"].encode(),
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert (answer.status, answer.json()) == (200, {"taken": 3, "refused": 0})
    found = arrivals.lines()
    assert len({line.pop("id") for line in found}) == 3
    stack = found[1]["exception"].pop("stackTrace")
    assert stack.startswith('java.lang.NumberFormatException: For input string: "ten"\n\tat java.base/java.lang.')
    times = [_microseconds(orjson.loads(line)["@timestamp"]) for line in sent["lines"].splitlines()]
    of_line = {
        "service": "checkout",
        "logger": "shop.Cart",
        "fields": {"ecs.version": "1.2.0", "event.dataset": "checkout", "process.thread.name": "main"},
    }
    in_span = of_line | {"traceId": bytes.fromhex(sent["trace_id"].zfill(32)), "spanId": sent["span_id"]}
    assert found == [
        of_line | {"traceId": bytes(16), "flags": 0, "level": "INFO", "message": "idle", "timestamp": times[2]},
        in_span
        | {
            "flags": Flag.ERROR | Flag.SHORT_ID,
            "level": "ERROR",
            "message": "no such amount",
            "timestamp": times[1],
            "exception": {"type": "java.lang.NumberFormatException", "message": 'For input string: "ten"'},
        },
        in_span | {"flags": Flag.SHORT_ID, "level": "WARN", "message": "the card expires", "timestamp": times[0]},
    ]


def _microseconds(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1e6)
