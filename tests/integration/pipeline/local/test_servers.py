"""The real servers of the session: they are what the lock says, and do what the pipeline needs."""

import subprocess
import uuid
from pathlib import Path

import pytest
import urllib3
from confluent_kafka.admin import AdminClient, ConfigResource
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from pipeline.local.elasticsearch import ELASTICSEARCH, ELASTICSEARCH_SETTINGS
from pipeline.local.jars import pinned
from pipeline.local.kafka import BROKER_SETTINGS
from pipeline.local.paths import default_cache
from pipeline.local.server import LaunchContext
from pipeline.local.stack import Endpoints
from pipeline.local.versions import VERSIONS


@pytest.fixture
def http() -> urllib3.PoolManager:
    return urllib3.PoolManager(retries=False, timeout=30)


def test_elasticsearch_says_its_version_to_get_and_head(stack: Endpoints, http: urllib3.PoolManager) -> None:
    said = http.request("GET", stack.elasticsearch).json()
    assert said["version"]["number"] == VERSIONS["elasticsearch"]
    assert said["cluster_name"] == ELASTICSEARCH_SETTINGS["cluster.name"]
    head = http.request("HEAD", stack.elasticsearch)
    assert head.status == 200
    # The official client refuses a server without it.
    assert head.headers["X-Elastic-Product"] == "Elasticsearch"


def test_elasticsearch_stores_and_finds_a_document(
    stack: Endpoints, http: urllib3.PoolManager, index_prefix: str
) -> None:
    url = f"{stack.elasticsearch}/{index_prefix}logs"
    stored = http.request("PUT", f"{url}/_create/1?refresh=true", json={"message": "out of stock"})
    repeated = http.request("PUT", f"{url}/_create/1", json={"message": "out of stock"})
    found = http.request("GET", f"{url}/_search?q=message:stock").json()
    assert (stored.status, repeated.status) == (201, 409)
    assert found["hits"]["total"]["value"] == 1
    http.request("DELETE", url)


def test_zipkin_keeps_a_trace_of_years_ago_in_elasticsearch(stack: Endpoints, http: urllib3.PoolManager) -> None:
    trace_id, new_year = uuid.uuid4().hex, 1_640_995_200_000_000
    common = {"traceId": trace_id, "name": "get /", "duration": 10, "localEndpoint": {"serviceName": "tests"}}
    # As many as make Elasticsearch's answer long enough to be compressed, where it may be.
    spans = [common | {"id": f"{number:016x}", "timestamp": new_year + number} for number in range(1, 201)]
    assert http.request("POST", f"{stack.zipkin}/api/v2/spans", json=spans).status == 202

    @retry(stop=stop_after_delay(30), wait=wait_fixed(0.1), retry=retry_if_result(lambda count: count != 200))
    def stored_spans() -> int:
        answer = http.request("GET", f"{stack.zipkin}/api/v2/trace/{trace_id}")
        return len(answer.json()) if answer.status == 200 else 0

    assert stored_spans() == 200
    query = {"query": {"term": {"traceId": trace_id}}}
    assert (
        http.request("GET", f"{stack.elasticsearch}/zipkin-span-2022-01-01/_count", json=query).json()["count"] == 200
    )
    assert b"<html" in http.request("GET", f"{stack.zipkin}/zipkin/").data


def test_kafka_runs_with_the_settings_that_the_pipeline_needs(stack: Endpoints) -> None:
    client = AdminClient({"bootstrap.servers": stack.kafka})
    (broker,) = client.list_topics(timeout=10).brokers
    (settings,) = client.describe_configs([ConfigResource(ConfigResource.Type.BROKER, str(broker))]).values()
    live = settings.result()
    # Of internal settings the broker says nothing.
    assert {key: live[key].value for key in BROKER_SETTINGS if key in live} == {
        key: value for key, value in BROKER_SETTINGS.items() if key in live
    }
    assert live["auto.create.topics.enable"].value == "false"
    assert live["group.initial.rebalance.delay.ms"].value == "0"


def test_a_node_that_cannot_start_ends_with_code_1(tmp_path: Path, stack: Endpoints) -> None:
    taken = int(stack.elasticsearch.rpartition(":")[2])
    jars = {lock: tuple(default_cache() / jar.path for jar in pinned(lock)) for lock in ELASTICSEARCH.locks}
    launch = ELASTICSEARCH.launch(LaunchContext(tmp_path, taken, jars, {}, "-Dtracelink.stack=test"))
    # It fails late, when the node's own threads run already.
    ended = subprocess.run(launch.command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    assert "BindHttpException" in ended.stderr
