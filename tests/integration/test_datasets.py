"""Files go in with `tracelink send`; every span is in Zipkin and every line in Elasticsearch, each once."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import urllib3

from pipeline.local.stack import Endpoints
from tests.kit.datasets import SHARED, Dataset, generated, needs_shared, recorded, recorded_trace
from tests.kit.kafka_topics import create
from tests.kit.processes import running
from tests.kit.waiting import wait_for

ZIPKIN_TRACES = sorted(path.name for path in (SHARED / "zipkin").glob("*.json")) or ["skew.json"]


@dataclass(frozen=True)
class Pipeline:
    """The join and both sinks, running."""

    stack: Endpoints
    indices: str
    environment: dict[str, str]
    http: urllib3.PoolManager

    def search(self, kind: str, query: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the documents of a kind (logs, traces) that a query finds."""
        base = f"{self.stack.elasticsearch}/{self.indices}{kind}-*"
        self.http.request("POST", f"{base}/_refresh")
        answer = self.http.request("POST", f"{base}/_search", json={"query": query, "size": 10_000})
        if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:  # a shard of a new index has not started
            return []
        assert answer.status == HTTPStatus.OK, answer.data
        return list(answer.json()["hits"]["hits"])

    def spans(self, trace: str) -> list[dict[str, Any]]:
        """Return what Zipkin shows on a trace's page."""
        answer = self.http.request("GET", f"{self.stack.zipkin}/api/v2/trace/{trace}")
        return list(answer.json()) if answer.status == 200 else []


@pytest.fixture(scope="module")
def pipeline(stack: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    name, logs = f"t{uuid4().hex[:8]}", tmp_path_factory.mktemp("pipeline")
    environment = {
        "TRACELINK_KAFKA_BOOTSTRAP_SERVERS": stack.kafka,
        "TRACELINK_ZIPKIN_URL": stack.zipkin,
        "TRACELINK_ELASTICSEARCH_URL": stack.elasticsearch,
        "TRACELINK_TOPIC_PREFIX": f"{name}.",
        "TRACELINK_JOIN_GROUP": f"{name}.join",
        "TRACELINK_INDEX_PREFIX": f"{name}-",
        "TRACELINK_IDLE_GAP": "1",
    }
    create(stack.kafka, f"{name}.", join_group=f"{name}.join")
    with ExitStack() as processes, urllib3.PoolManager() as http:
        started = [
            processes.enter_context(running(*command.split(), log=logs / f"{number}.log", **environment, **group))
            for number, (command, group) in enumerate(
                [
                    ("join", {}),
                    ("sink zipkin", {"TRACELINK_SINK_GROUP": f"{name}.zipkin"}),
                    ("sink elasticsearch", {"TRACELINK_SINK_GROUP": f"{name}.elasticsearch"}),
                ]
            )
        ]
        for process in started:
            process.wait_until_ready()
        yield Pipeline(stack, f"{name}-", environment, http)


def check(pipeline: Pipeline, dataset: Dataset, tmp_path: Path) -> None:
    """Send a data set and hold what comes out against what is known of it."""
    files = ["--spans", str(dataset.spans)] + (["--logs", str(dataset.logs)] if dataset.logs else [])
    with running("send", *files, "--json", log=tmp_path / "send.log", **pipeline.environment) as send:
        assert send.wait(seconds=60) == 0, send.output()
    ours = {"terms": {"trace.id": sorted(dataset.traces)}}

    def everything_is_there() -> bool:
        lines = pipeline.search("logs", ours)
        parts = pipeline.search("traces", ours)
        spans = sum(len(part["_source"].get("spans", [])) for part in parts)
        return len(lines) >= sum(dataset.lines.values()) and spans >= sum(map(len, dataset.span_ids.values()))

    wait_for("all documents", everything_is_there, seconds=60)
    lines = pipeline.search("logs", ours)
    assert Counter(line["_source"]["trace"]["id"] for line in lines) == dataset.lines
    parts = [part["_source"]["trace"] for part in pipeline.search("traces", ours)]
    assert {part["id"] for part in parts} == dataset.traces
    assert {part["id"] for part in parts if part["errored"]} == dataset.errored
    found: dict[str, list[str]] = {}

    def zipkin_shows_all() -> bool:
        missing = [trace for trace in dataset.span_ids if len(found.get(trace, [])) < len(dataset.span_ids[trace])]
        found.update({trace: [span["id"] for span in pipeline.spans(trace)] for trace in missing})
        return all(len(found[trace]) >= len(ids) for trace, ids in dataset.span_ids.items())

    wait_for("all spans in Zipkin", zipkin_shows_all, seconds=60)
    assert {trace: sorted(ids) for trace, ids in found.items()} == {
        trace: sorted(ids) for trace, ids in dataset.span_ids.items()
    }


def test_generated_traces_and_logs_arrive_whole(pipeline: Pipeline, tmp_path: Path) -> None:
    dataset = generated(tmp_path)
    assert 0 < len(dataset.errored) < len(dataset.traces)
    check(pipeline, dataset, tmp_path)


@needs_shared
@pytest.mark.parametrize(
    ("name", "spans", "lines", "traces", "errored"),
    [("trainticket", 5617, 2993, 65, 47), ("boutique", 6712, 7260, 147, 0)],
)
def test_recorded_traces_and_logs_arrive_whole(  # noqa: PLR0917 - what is known of them
    pipeline: Pipeline, tmp_path: Path, name: str, spans: int, lines: int, traces: int, errored: int
) -> None:
    dataset = recorded(name)
    assert sum(map(len, dataset.span_ids.values())) == spans
    assert sum(dataset.lines.values()) == lines
    assert (len(dataset.traces), len(dataset.errored)) == (traces, errored)
    check(pipeline, dataset, tmp_path)


@needs_shared
@pytest.mark.parametrize("name", ZIPKIN_TRACES)
def test_traces_as_real_systems_sent_them_arrive_whole(pipeline: Pipeline, tmp_path: Path, name: str) -> None:
    check(pipeline, recorded_trace(SHARED / "zipkin" / name), tmp_path)


def test_what_is_no_span_and_no_line_is_counted_and_the_rest_goes_on(pipeline: Pipeline, tmp_path: Path) -> None:
    dataset = generated(tmp_path, traces=3, seed=2)
    spans = tmp_path / "broken.jsonl"
    good = json.loads(dataset.spans.read_text())
    spans.write_text("\n".join([json.dumps(good[0]), "{no json", json.dumps({"traceId": "0"}), json.dumps(good[1])]))
    with running("send", "--spans", str(spans), log=tmp_path / "send.log", **pipeline.environment) as send:
        assert send.wait(seconds=60) == 1
        assert "broken.jsonl:2" in send.output()
        assert "broken.jsonl:3" in send.output()
    with running(
        "send", "--spans", str(spans), "--skip-invalid", log=tmp_path / "again.log", **pipeline.environment
    ) as send:
        assert send.wait(seconds=60) == 0
