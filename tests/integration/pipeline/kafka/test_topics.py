"""The topics as they are created, checked and mended, on a real Kafka."""

import pytest
from click.testing import CliRunner
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

from pipeline.cli.root import main
from pipeline.kafka.admin import apply, check, connect, require
from pipeline.kafka.topic_specs import specs
from pipeline.local.stack import Endpoints
from pipeline.settings import TopicSettings
from streams.join.settings import JoinSettings
from tests.kit.waiting import wait_for
from tracelink.errors import UserError
from tracelink.settings import KafkaSettings


@pytest.fixture
def settings(stack: Endpoints, topic_prefix: str) -> TopicSettings:
    return TopicSettings(kafka_bootstrap_servers=stack.kafka, topic_prefix=topic_prefix, partitions=3)


@pytest.fixture
def admin(settings: TopicSettings) -> AdminClient:
    return connect(settings)


def set_topic(admin: AdminClient, topic: str, **changes: object) -> None:
    entries = [
        ConfigEntry(name.replace("_", "."), str(value), incremental_operation=AlterConfigOpType.SET)
        for name, value in changes.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    admin.incremental_alter_configs([resource])[resource].result(10)


def test_what_apply_has_made_passes_the_check_and_a_second_apply_does_nothing(
    admin: AdminClient, settings: TopicSettings
) -> None:
    assert {one.setting for one in check(admin, settings)} == {"topic"}
    assert len(apply(admin, settings)) == 13
    assert check(admin, settings) == []
    assert apply(admin, settings) == []


@pytest.mark.parametrize(
    ("topic", "change", "needed"),
    [
        ("spans", {"message_timestamp_type": "CreateTime"}, "LogAppendTime"),
        ("logs", {"cleanup_policy": "compact"}, "delete"),
        ("traces", {"max_message_bytes": 1_000_000}, "at least 5308416"),
        ("closed.tracelink-join", {"retention_ms": 60_000}, "604800000, as the inputs"),
    ],
)
def test_a_live_setting_that_breaks_a_promise_is_found_refused_and_mended(
    admin: AdminClient, settings: TopicSettings, topic: str, change: dict[str, object], needed: str
) -> None:
    apply(admin, settings)
    set_topic(admin, settings.topic_prefix + topic, **change)
    (found,) = wait_for("the change to be seen", lambda: check(admin, settings))
    assert (found.topic, found.needed) == (settings.topic_prefix + topic, needed)
    with pytest.raises(UserError, match="tracelink topics apply"):
        require(admin, settings, [spec.name for spec in specs(settings)])
    assert len(apply(admin, settings)) == 1
    assert check(admin, settings) == []


def test_a_promise_is_checked_where_the_settings_tell_what_it_asks_for(
    admin: AdminClient, settings: TopicSettings
) -> None:
    apply(admin, settings)
    where = {"kafka_bootstrap_servers": settings.kafka_bootstrap_servers, "topic_prefix": settings.topic_prefix}
    traces, join = f"{settings.topic_prefix}traces", JoinSettings.load(**where)
    set_topic(admin, traces, max_message_bytes=1_000_000)
    wait_for("the change to be seen", lambda: check(admin, settings))
    with pytest.raises(UserError, match=r"traces: max\.message\.bytes is 1000000"):
        require(admin, join, join.topics)
    require(admin, KafkaSettings.load(**where), [traces])
    set_topic(admin, traces, max_message_bytes=10_000_000)
    wait_for("the change to be seen", lambda: not check(admin, settings))
    found = check(admin, settings.model_copy(update={"replication": 2}))
    assert [(one.setting, one.needed) for one in found] == [("min.insync.replicas", "at least 2")] * 13
    assert check(admin, join, join.topics) == []


def test_retention_belongs_to_the_operator(admin: AdminClient, settings: TopicSettings) -> None:
    apply(admin, settings)
    set_topic(admin, f"{settings.topic_prefix}traces", retention_ms=1000)
    topic = ConfigResource(ResourceType.TOPIC, f"{settings.topic_prefix}traces")

    def is_changed() -> bool:
        return str(admin.describe_configs([topic])[topic].result(10)["retention.ms"].value) == "1000"

    wait_for("the change to be seen", is_changed)
    assert check(admin, settings) == []


def test_unequal_partition_counts_are_refused_and_made_equal(admin: AdminClient, settings: TopicSettings) -> None:
    arrival = {"message.timestamp.type": "LogAppendTime"}
    new = NewTopic(f"{settings.topic_prefix}spans", num_partitions=5, replication_factor=1, config=arrival)
    admin.create_topics([new])[new.topic].result(10)
    apply(admin, settings)
    assert check(admin, settings) == []
    metadata = admin.list_topics(timeout=10).topics
    assert len(metadata[f"{settings.topic_prefix}logs"].partitions) == 5


def test_the_command_line_creates_and_checks(settings: TopicSettings) -> None:
    runner = CliRunner()
    where = ["--kafka-bootstrap-servers", settings.kafka_bootstrap_servers, "--topic-prefix", settings.topic_prefix]
    missing = runner.invoke(main, ["topics", "check", "--json", *where])
    assert (missing.exit_code, missing.output.count('"setting": "topic"')) == (1, 13)
    assert runner.invoke(main, ["topics", "apply", "--partitions", "1", *where]).exit_code == 0
    assert runner.invoke(main, ["topics", "check", *where]).exit_code == 0
