"""Envoy traces its requests to the gateway."""

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.producers.gateway.arrivals import Arrivals
from tests.integration.producers.gateway.envoy import SERVICE, envoy
from tests.kit.gateway import Running
from tests.kit.http import http_request
from tests.kit.http_stub import Request, stub
from tests.kit.waiting import wait_for
from tracelink.model.records import Flag


@pytest.mark.skipif(sys.platform != "linux", reason="its wheel is in the lock for Linux alone")
def test_each_tracer_of_envoy(door: Running, arrivals: Arrivals, tmp_path: Path) -> None:
    called: list[Request] = []

    def fail(request: Request) -> tuple[int, object]:
        called.append(request)
        return 503, None

    with stub(fail) as upstream, envoy(door, upstream, tmp_path) as urls:
        for url in urls.values():
            assert http_request("GET", f"{url}/orders", retries=False).status == 503
        # Envoy keeps spans for up to 5 s.
        wait_for("two spans of each tracer", lambda: len(arrivals.spans()) >= 2 * len(urls))
    found = arrivals.spans()
    assert len(called) == len(urls)
    for (tracer, url), call in zip(urls.items(), called, strict=True):
        of_trace = [found.pop(found.index(span)) for span in list(found) if span["traceId"] == _trace_id(call)]
        _check(of_trace, call, url, by_zipkin=tracer == "zipkin")
    assert found == []


def _check(found: list[dict[str, Any]], call: Request, url: str, *, by_zipkin: bool) -> None:
    """Compare the spans of a request and of its call of the upstream."""
    short = Flag.SHORT_ID if by_zipkin else 0
    (client,) = (span for span in found if span["kind"] == "CLIENT")
    (server,) = (span for span in found if span["kind"] == "SERVER")
    assert client["id"] == (call.headers["x-b3-spanid"] if by_zipkin else call.headers["traceparent"].split("-")[2])
    assert client["parentId"] == server["id"]
    assert (client["flags"], client["name"]) == (Flag.ERROR | short, "router upstream egress")
    assert "parentId" not in server
    assert server["flags"] == Flag.ERROR | Flag.ROOT | short
    assert server["name"] == (url.removeprefix("http://") if by_zipkin else "ingress")
    assert server["timestamp"] <= client["timestamp"]
    assert client["duration"] <= server["duration"]
    status = {"error": "true"} if by_zipkin else {"error": "", "attribute.error": "true", "otel.status_code": "ERROR"}
    common = {"component": "proxy", "http.status_code": "503", "upstream_cluster": "upstream"} | status
    asked = {"http.method": "GET", "http.url": f"{url}/orders", "guid:x-request-id": call.headers["x-request-id"]}
    assert client["tags"].items() >= common.items()
    assert server["tags"].items() >= (common | asked).items()
    assert {span["localEndpoint"]["serviceName"] for span in found} == {SERVICE}


def _trace_id(call: Request) -> bytes:
    """Return the trace of a request from the headers that Envoy has given it."""
    b3 = call.headers.get("x-b3-traceid")
    return bytes.fromhex(b3.zfill(32) if b3 else call.headers["traceparent"].split("-")[1])
