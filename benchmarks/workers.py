"""Join workers of one group over a load."""

import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from benchmarks.load import PARTITIONS, Load, drop
from benchmarks.subject import Subject, running, tracelink
from pipeline.kafka.admin import apply
from tracelink.kafka.topics import TopicNames

_TIMEOUT = 30.0
JOINED = "tracelink_join_joined_records_total"
"""The metric that counts a worker's records in committed traces."""
SHORT = ("--idle-gap", "5", "--root-grace", "0")
"""Windows that wait as long as the peers of the cases do."""


@dataclass(frozen=True, slots=True)
class Workers:
    """A group of join workers that has read nothing yet."""

    kafka: str
    load: Load
    group: str

    def worker(self, instance: str, *flags: str) -> AbstractContextManager[Subject]:
        """Run a worker with this instance id for as long as the block lasts."""
        environment = {"TRACELINK_KAFKA_BOOTSTRAP_SERVERS": self.kafka, "TRACELINK_TOPIC_PREFIX": self.load.prefix}
        return running(tracelink("join", "--join-group", self.group, "--instance-id", instance, *flags), environment)

    def committed(self) -> int:
        """Return the number of records before the group's committed offsets."""
        names = TopicNames(self.load.prefix)
        asked = [TopicPartition(topic, one) for topic in (names.spans, names.logs) for one in range(PARTITIONS)]
        consumer = Consumer(
            {
                "bootstrap.servers": self.kafka,
                "group.id": self.group,
                "isolation.level": "read_uncommitted",  # else it waits for the transaction of a worker that was killed
            }
        )
        try:
            return sum(max(0, one.offset) for one in consumer.committed(asked, timeout=_TIMEOUT))
        finally:
            consumer.close()


@contextmanager
def workers(kafka: str, load: Load) -> Iterator[Workers]:
    """Make a group over the load, with empty output topics of the join; delete its journal at the end."""
    names, group = TopicNames(load.prefix), f"bench-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": kafka})
    outputs = {names.traces, names.error_traces, names.dead_letters} & admin.list_topics(timeout=_TIMEOUT).topics.keys()
    drop(admin, sorted(outputs))
    apply(admin, load.settings(kafka, join_group=group))
    yield Workers(kafka, load, group)
    drop(admin, [names.journal(group)])
