"""Every process needs the topics that it reads and writes, and no others."""

import re
from pathlib import Path

import pytest
from confluent_kafka.admin import NewTopic

from pipeline.kafka.admin import connect
from pipeline.kafka.topic_specs import specs
from pipeline.local.stack import Endpoints
from pipeline.settings import TopicSettings
from tests.kit.http_stub import stub
from tests.kit.processes import running
from tests.kit.waiting import wait_for


@pytest.fixture
def environment(stack: Endpoints, topic_prefix: str) -> dict[str, str]:
    return {
        "TRACELINK_KAFKA_BOOTSTRAP_SERVERS": stack.kafka,
        "TRACELINK_TOPIC_PREFIX": topic_prefix,
        "TRACELINK_SINK_GROUP": f"{topic_prefix}group",
        "TRACELINK_ALERTS_GROUP": f"{topic_prefix}alerts",
        "TRACELINK_JOIN_GROUP": "g",
        "TRACELINK_WEBHOOK_URL": "https://hooks.example.com/",
    }


def create(environment: dict[str, str], *names: str) -> None:
    """Create these of a pipeline's topics alone."""
    settings = TopicSettings(
        kafka_bootstrap_servers=environment["TRACELINK_KAFKA_BOOTSTRAP_SERVERS"],
        topic_prefix=environment["TRACELINK_TOPIC_PREFIX"],
    )
    wanted = {settings.topic_prefix + name for name in names}
    new = [NewTopic(spec.name, 1, 1, config=spec.required) for spec in specs(settings) if spec.name in wanted]
    admin = connect(settings)
    for future in admin.create_topics(new, operation_timeout=20).values():
        future.result(20)
    # A broker shows new topics a moment after it has created them.
    wait_for("the topics are seen", lambda: wanted <= admin.list_topics(timeout=20).topics.keys())


@pytest.mark.parametrize(
    ("command", "topics"),
    [
        ("join", {"spans", "logs", "traces", "error-traces", "dead-letters", "closed.g", "replays"}),
        ("alerts", {"error-traces", "errors", "problems", "alerts", "dead-letters"}),
        ("sink zipkin", {"traces", "dead-letters"}),
        ("sink elasticsearch", {"traces", "unlinked-logs", "problems", "dead-letters"}),
        ("sink alertmanager", {"alerts", "problems", "dead-letters"}),
        ("sink webhook", {"alerts", "dead-letters"}),
    ],
)
def test_a_process_misses_its_own_topics_and_names_the_command_that_creates_them(
    environment: dict[str, str], topic_prefix: str, tmp_path: Path, command: str, topics: set[str]
) -> None:
    with running(*command.split(), log=tmp_path / "log", **environment) as process:
        assert process.wait() == 1
    missing = re.findall(rf"{re.escape(topic_prefix)}(\S+): topic is missing", process.output())
    assert sorted(missing) == sorted(topics)
    group = " --join-group g" if command == "join" else ""
    assert f"tracelink topics apply --topic-prefix {topic_prefix}{group}\n" in process.output()


def test_a_sink_of_alerts_runs_without_the_topics_of_the_join(environment: dict[str, str], tmp_path: Path) -> None:
    create(environment, "alerts", "dead-letters")
    with stub(lambda _: (200, "")) as url:
        own = environment | {"TRACELINK_WEBHOOK_URL": url, "TRACELINK_ALLOW_NETWORKS": "127.0.0.0/8"}
        with running("sink", "webhook", log=tmp_path / "log", **own) as sink:
            sink.wait_until_ready()
            assert sink.stop() == 0


def test_one_topic_that_is_missing_is_named_alone(
    environment: dict[str, str], topic_prefix: str, tmp_path: Path
) -> None:
    create(environment, "alerts")
    with running("sink", "webhook", log=tmp_path / "log", **environment) as sink:
        assert sink.wait() == 1
    assert f"requirements: {topic_prefix}dead-letters: topic is missing, required: present. " in sink.output()
