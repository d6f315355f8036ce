"""A live pipeline of a test, as processes: join, alerts and both sinks; and what it has written."""

import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

from pipeline.kafka.admin import apply, connect
from pipeline.local.stack import Endpoints
from pipeline.settings import TopicSettings
from streams.join.settings import JoinSettings
from tests.kit.http import http_request
from tests.kit.processes import Process, running
from tracelink.kafka.client import PARTITIONER
from tracelink.kafka.topics import TopicNames

Document = tuple[tuple[int, int], dict[str, Any]]
"""Sequence number and version of a document, and its content."""
_SINKS = ("zipkin", "elasticsearch")
_PARTITIONS = 3


@dataclass(frozen=True)
class Dated:
    """A message with the time that it has in Kafka, in milliseconds since the epoch."""

    topic: str
    key: bytes
    value: bytes
    time: int


@dataclass(frozen=True)
class Live:
    """Names, settings and servers of a test's pipeline."""

    stack: Endpoints
    topic_prefix: str
    index_prefix: str
    environment: dict[str, str]
    logs: Path
    settings: JoinSettings
    admin: AdminClient

    @property
    def names(self) -> TopicNames:
        return TopicNames(self.topic_prefix)

    def make_topics(self) -> None:
        """Make the topics that are missing, and have the broker's clock show times from now on."""
        settings = TopicSettings(
            kafka_bootstrap_servers=self.stack.kafka,
            topic_prefix=self.topic_prefix,
            join_group=self.settings.join_group,
            partitions=_PARTITIONS,
        )
        apply(self.admin, settings)

    def publish_dated(self, messages: Iterable[Dated]) -> None:
        """Make the topics with messages under their own times, as if the broker's clock had shown them."""
        dated = {"message.timestamp.type": "CreateTime"}
        inputs = [NewTopic(one, _PARTITIONS, 1, config=dated) for one in (self.names.spans, self.names.logs)]
        for future in self.admin.create_topics(inputs, operation_timeout=20).values():
            future.result(20)
        producer = Producer({"bootstrap.servers": self.stack.kafka, "partitioner": PARTITIONER, "linger.ms": 5})
        for message in messages:
            producer.produce(message.topic, message.value, message.key, timestamp=message.time)
        assert producer.flush(30) == 0
        self.make_topics()

    @contextmanager
    def running(self) -> Iterator[dict[str, Process]]:
        """Run the processes, each ready."""
        commands = {"join": ("join",), "alerts": ("alerts",), **{name: ("sink", name) for name in _SINKS}}
        with ExitStack() as ending:
            started = {
                name: ending.enter_context(
                    running(
                        *command,
                        log=self.logs / f"{name}.log",
                        **self.environment,
                        TRACELINK_SINK_GROUP=f"{self.topic_prefix}sink-{name}",
                    )
                )
                for name, command in commands.items()
            }
            for process in started.values():
                process.wait_until_ready()
            yield started

    @contextmanager
    def command(self, *arguments: str, log: str) -> Iterator[Process]:
        with running(*arguments, log=self.logs / log, **self.environment) as process:
            yield process

    def documents(self, suffix: str = "") -> dict[tuple[str, str], Document]:
        """Return all documents of log lines and parts by (index without the suffix, id)."""
        base = f"{self.stack.elasticsearch}/{self.index_prefix}"
        found: dict[tuple[str, str], Document] = {}
        for index in _indices(self.stack.elasticsearch, self.index_prefix):
            bare = index.removeprefix(self.index_prefix)
            if not re.fullmatch(rf"(logs|traces)-[\d.]+{re.escape(suffix)}", bare):
                continue
            http_request("POST", f"{base}{bare}/_refresh")
            query = {"seq_no_primary_term": True, "version": True, "query": {"match_all": {}}}
            with closing(Elasticsearch(self.stack.elasticsearch)) as client:
                for hit in scan(client, query, index=f"{self.index_prefix}{bare}", size=2000):
                    where = (bare.removesuffix(suffix), hit["_id"])
                    found[where] = ((hit["_seq_no"], hit["_version"]), hit["_source"])
        return found

    def delete(self, documents: Iterable[tuple[str, str]]) -> None:
        """Lose documents."""
        for index, identity in documents:
            answer = http_request("DELETE", f"{self.stack.elasticsearch}/{self.index_prefix}{index}/_doc/{identity}")
            assert answer.status == 200, answer.data


def live_pipeline(stack: Endpoints, topic_prefix: str, index_prefix: str, logs: Path, **more: str) -> Live:
    """Name all that is a pipeline's own; its topics are still to be made."""
    environment = {
        "TRACELINK_KAFKA_BOOTSTRAP_SERVERS": stack.kafka,
        "TRACELINK_ZIPKIN_URL": stack.zipkin,
        "TRACELINK_ELASTICSEARCH_URL": stack.elasticsearch,
        "TRACELINK_TOPIC_PREFIX": topic_prefix,
        "TRACELINK_INDEX_PREFIX": index_prefix,
        "TRACELINK_JOIN_GROUP": f"{topic_prefix}join",
        "TRACELINK_ALERTS_GROUP": f"{topic_prefix}alerts",
        "TRACELINK_IDLE_GAP": "5",
        "TRACELINK_ROOT_GRACE": "0",
        **more,
    }
    settings = JoinSettings(
        kafka_bootstrap_servers=stack.kafka,
        topic_prefix=topic_prefix,
        join_group=environment["TRACELINK_JOIN_GROUP"],
    )
    admin = connect(settings)
    return Live(stack, topic_prefix, index_prefix, environment, logs, settings, admin)


def delete_indices(elasticsearch: str, prefix: str) -> None:
    """Delete the indices and templates of a test: a node that goes on running takes a thousand."""
    for index in _indices(elasticsearch, prefix):
        http_request("DELETE", f"{elasticsearch}/{index}")
    http_request("DELETE", f"{elasticsearch}/_index_template/{prefix}*")


def _indices(elasticsearch: str, prefix: str) -> list[str]:
    return http_request("GET", f"{elasticsearch}/_cat/indices/{prefix}*?h=index").data.decode().split()
