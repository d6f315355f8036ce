"""The changelogs of the curves in a real Kafka."""

import pytest
from confluent_kafka.admin import NewPartitions

from pipeline.kafka.admin import connect
from pipeline.local.stack import Endpoints
from streams.trends.changelogs import prepare
from tests.kit.kafka_topics import create
from tests.kit.waiting import wait_for
from tracelink.errors import UserError
from tracelink.settings import KafkaSettings


def test_a_changelog_gets_the_partitions_of_the_topic_that_is_counted(stack: Endpoints, topic_prefix: str) -> None:
    create(stack.kafka, topic_prefix, partitions=2)
    admin = connect(KafkaSettings.load(kafka_bootstrap_servers=stack.kafka))
    source, changelog = f"{topic_prefix}errors", f"{topic_prefix}trends.group.service"

    def partitions(topic: str) -> int:
        found = admin.list_topics(timeout=10).topics
        return len(found[topic].partitions) if topic in found else 0

    for _ in range(2):
        assert prepare(admin, {changelog: source}) == {changelog: 2}
        wait_for("the changelog", lambda: partitions(changelog) == 2)
    admin.create_partitions([NewPartitions(source, 5)])[source].result(10)
    wait_for("more partitions", lambda: partitions(source) == 5)
    assert prepare(admin, {changelog: source}) == {changelog: 5}
    wait_for("the changelog to have more, too", lambda: partitions(changelog) == 5)
    with pytest.raises(UserError, match=f"{changelog} has 5 partitions"):
        prepare(admin, {changelog: f"{topic_prefix}problems"})
