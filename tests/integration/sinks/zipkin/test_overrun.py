"""A flood of spans at a Zipkin with little memory, whose storage takes them more slowly than it does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.local.ports import Ports
from pipeline.local.stack import Endpoints, Stack
from sinks.zipkin.settings import ZipkinSettings
from sinks.zipkin.sink import ZipkinSink
from tests.kit.http import http_request
from tests.kit.sink_examples import batch, new_trace_id, part, span
from tests.kit.sink_targets import metrics
from tests.kit.waiting import wait_for

_SPANS, _PART = 120_000, 4_000


@pytest.fixture
def small_zipkin(monkeypatch: pytest.MonkeyPatch, own_stack: Path) -> Iterator[Endpoints]:
    monkeypatch.setenv("TRACELINK_STACK_ZIPKIN_HEAP", "80m")
    with Stack(own_stack, ports=Ports(zipkin=0, elasticsearch=0), only=("zipkin",)) as stack:
        yield stack.start()


def test_a_flood_of_spans_does_not_overrun_zipkin_and_is_stored_whole(small_zipkin: Endpoints) -> None:
    trace_id = new_trace_id()
    # Longer than its storage may stand still: a sink's process would wait and repeat the batch, this test does not.
    patient = ZipkinSettings.load(zipkin_url=small_zipkin.zipkin, request_timeout="120")
    sink = ZipkinSink(patient, metrics())
    for first in range(0, _SPANS, _PART):
        sink.write(batch(part([span(trace_id, f"{number:016x}") for number in range(first + 1, first + 1 + _PART)])))
    sink.close()
    url = f"{small_zipkin.elasticsearch}/zipkin-span-*/_count"
    query = {"query": {"term": {"traceId": trace_id.hex()}}}
    wait_for(
        "all spans to be stored",
        lambda: http_request("POST", url, json=query, timeout=30).json()["count"] == _SPANS,
        seconds=120,
    )
