"""The commands as processes: what they say, how they end."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.local.stack import Endpoints
from tests.kit.http import http_request
from tests.kit.http_stub import stub
from tests.kit.processes import metrics, running
from tests.kit.sink_examples import log, new_trace_id, span, trace_message
from tests.kit.sink_targets import NOWHERE, search
from tests.kit.sink_topics import Topics
from tests.kit.waiting import eventually


@pytest.fixture
def environment(stack: Endpoints, topic_prefix: str, index_prefix: str) -> dict[str, str]:
    return {
        "TRACELINK_KAFKA_BOOTSTRAP_SERVERS": stack.kafka,
        "TRACELINK_TOPIC_PREFIX": topic_prefix,
        "TRACELINK_SINK_GROUP": f"{topic_prefix}group",
        "TRACELINK_ELASTICSEARCH_URL": stack.elasticsearch,
        "TRACELINK_INDEX_PREFIX": index_prefix,
    }


def test_a_sink_runs_until_sigterm_and_ends_with_zero(
    stack: Endpoints, topic_prefix: str, index_prefix: str, environment: dict[str, str], tmp_path: Path
) -> None:
    topics, trace_id = Topics(stack.kafka, topic_prefix), new_trace_id()
    topics.produce(topics.names.traces, trace_message([span(trace_id)], [log(trace_id)]))
    query = {"query": {"term": {"trace.id": trace_id.hex()}}}
    with running("sink", "elasticsearch", log=tmp_path / "log", **environment) as sink:
        url = sink.wait_until_ready()
        eventually(lambda: search(stack.elasticsearch, f"{index_prefix}logs-*", query))
        written = 'tracelink_sink_parts_total{outcome="written",sink="elasticsearch"}'
        eventually(lambda: metrics(url).get(written) == 1)
        assert metrics(url)["process_cpu_seconds_total"] > 0
        assert sink.stop() == 0
    assert "Traceback" not in sink.output()


def test_a_sink_waits_for_a_target_that_is_away_at_start_and_stops_meanwhile(
    stack: Endpoints, topic_prefix: str, environment: dict[str, str], tmp_path: Path
) -> None:
    Topics(stack.kafka, topic_prefix)
    with running("sink", "zipkin", "--zipkin-url", NOWHERE, log=tmp_path / "log", **environment) as sink:
        eventually(lambda: "is unavailable, retrying" in sink.output())
        url = sink.output().partition("metrics and health on ")[2].partition("\n")[0]
        assert http_request("GET", f"{url}/readyz").status == 503
        assert http_request("GET", f"{url}/healthz").status == 200
        assert sink.stop(signal.SIGINT, seconds=10) == 0
    assert sink.output().count("is unavailable, retrying") == 1


def test_wrong_credentials_end_a_sink_with_one_line(
    stack: Endpoints, topic_prefix: str, environment: dict[str, str], tmp_path: Path
) -> None:
    Topics(stack.kafka, topic_prefix)
    with (
        stub(lambda _: (401, "who are you?")) as url,
        running("sink", "zipkin", "--zipkin-url", url, log=tmp_path / "log", **environment) as sink,
    ):
        assert sink.wait() == 1
    assert "Error: " in sink.output()
    assert "TRACELINK_ZIPKIN_HEADERS" in sink.output()
    assert "Traceback" not in sink.output()


def test_missing_topics_are_named_with_the_command_that_makes_them(environment: dict[str, str], tmp_path: Path) -> None:
    with running("sink", "zipkin", log=tmp_path / "log", **environment) as sink:
        assert sink.wait() == 1
    assert "tracelink topics apply" in sink.output()
    assert "Traceback" not in sink.output()


def test_help_needs_none_of_the_clients() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from sinks.commands import sink;"
        "out = CliRunner().invoke(sink, ['elasticsearch', '--help']).output; assert 'Examples' in out, out;"
        "print([name for name in ('elasticsearch', 'confluent_kafka', 'urllib3') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
