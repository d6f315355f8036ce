"""Zipkin's own example traces: through the gateway they are read back from Zipkin as if they had been posted to it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from pipeline.local.stack import Endpoints
from sinks.base.contract import Outcome
from sinks.zipkin.settings import ZipkinSettings
from sinks.zipkin.sink import ZipkinSink
from tests.kit import sink_examples as kit
from tests.kit.datasets import SHARED, needs_shared
from tests.kit.gateway import Running
from tests.kit.http import http_request
from tests.kit.kafka_topics import read
from tests.kit.sink_targets import metrics
from tests.kit.waiting import wait_for
from tracelink.model.codec import SPAN
from tracelink.settings import KafkaSettings

Json = dict[str, Any]


def _under_new_ids(spans: Sequence[Json]) -> list[list[Json]]:
    """Return each trace of a file under an id that nobody has sent before, as long as its own."""
    traces: dict[str, list[Json]] = {}
    new: dict[str, str] = {}
    for span in spans:
        was = span["traceId"]
        new.setdefault(was, f"f{uuid4().hex[1 : len(was)]}")
        traces.setdefault(was, []).append(span | {"traceId": new[was]})
    return list(traces.values())


def _post(url: str, spans: Sequence[Json]) -> None:
    answer = http_request("POST", f"{url}/api/v2/spans", json=spans)
    assert answer.status == 202, answer.data


def _read_back(zipkin: str, trace_id: str, number: int) -> list[Json]:
    """Return a trace of so many spans as Zipkin shows it, without its id."""

    def shown() -> list[Json]:
        answer = http_request("GET", f"{zipkin}/api/v2/trace/{trace_id}")
        found: list[Json] = answer.json() if answer.status == 200 else []
        return found if len(found) == number else []

    found = wait_for(f"the trace {trace_id}", shown)
    assert {span.pop("traceId") for span in found} == {trace_id}
    return sorted(found, key=lambda span: json.dumps(span, sort_keys=True))


@needs_shared
@pytest.mark.parametrize("file", sorted((SHARED / "zipkin").glob("*.json")), ids=lambda file: file.stem)
def test_an_example_is_read_back_as_if_it_had_been_posted_to_zipkin(
    file: Path, door: Running, where: KafkaSettings, stack: Endpoints
) -> None:
    spans = json.loads(file.read_text())
    for direct, through in zip(_under_new_ids(spans), _under_new_ids(spans), strict=True):
        _post(stack.zipkin, direct)
        _post(door.url, through)
        ours = through[0]["traceId"]
        taken = [SPAN.decode(one.value) for one in read(where) if one.key == ours.zfill(32).encode()]
        assert len(taken) == len(through)
        sink = ZipkinSink(ZipkinSettings.load(zipkin_url=stack.zipkin), metrics())
        report = sink.write(kit.batch(kit.part(taken)))
        sink.close()
        assert report.parts == [Outcome.WRITTEN]
        assert _read_back(stack.zipkin, ours, len(direct)) == _read_back(
            stack.zipkin, direct[0]["traceId"], len(direct)
        )
