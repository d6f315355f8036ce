"""A pipeline whose topics and stores a test fills by itself, and `tracelink verify` on it."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from click.testing import CliRunner, Result
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import NewTopic

from pipeline.cli.root import main
from pipeline.kafka.admin import connect
from pipeline.local.stack import Endpoints
from pipeline.model.dead_letters import Origin
from sinks.base.contract import Batch, OutgoingDeadLetter, SourceMessage
from sinks.base.decoding import decode, record_kinds
from sinks.elasticsearch.settings import ElasticsearchSettings
from sinks.elasticsearch.sink import ElasticsearchSink
from sinks.zipkin.settings import ZipkinSettings
from sinks.zipkin.sink import ZipkinSink
from tests.kit.http import http_request
from tests.kit.sink_examples import trace_message
from tests.kit.sink_targets import metrics, search
from tests.kit.waiting import eventually
from tracelink.kafka.topics import TopicNames
from tracelink.model.codec import LOG_RECORD
from tracelink.model.records import LogRecord, Span, shown_trace_id
from tracelink.settings import KafkaSettings

START = 1_767_225_600_000
"""2026-01-01T00:00Z in milliseconds."""
MINUTE, HOUR = 60_000, 3_600_000
STRETCH = ("--from", "2026-01-01", "--to", "2026-01-01T06:00")


class Setting:
    """Topics, indices and a Zipkin under names of a test's own."""

    def __init__(self, stack: Endpoints, topic_prefix: str, index_prefix: str) -> None:
        self.stack, self.index_prefix = stack, index_prefix
        self.names = names = TopicNames(topic_prefix)
        self.admin = connect(KafkaSettings.load(kafka_bootstrap_servers=stack.kafka))
        self.create(names.spans, names.traces, names.unlinked_logs, names.dead_letters)
        self._producer = Producer({"bootstrap.servers": stack.kafka})
        self._offsets: dict[tuple[str, int], int] = {}

    def put(self, topic: str, value: bytes | None, at: int, partition: int = 0, headers: Any = None) -> SourceMessage:  # noqa: ANN401 - the client's
        """Append a message with a time of `at` milliseconds after START."""
        key = None if value is None else b"key"
        self._producer.produce(topic, value, key, partition=partition, timestamp=START + at, headers=headers or [])
        assert self._producer.flush(20) == 0
        offset = self._offsets.get((topic, partition), 0)
        self._offsets[topic, partition] = offset + 1
        return SourceMessage(Origin(topic, partition, offset, START + at), key, value or b"")

    def put_part(
        self,
        spans: Sequence[Span] = (),
        logs: Sequence[LogRecord] = (),
        *,
        at: int = 0,
        partition: int = 0,
        extra_spans: Sequence[bytes] = (),
    ) -> SourceMessage:
        """Append a part that was opened then, and closed five seconds later."""
        name = f"s{partition}-{self._offsets.get((self.names.traces, partition), 0)}"
        value = trace_message(spans, logs, name=name, opened=START + at, extra_spans=extra_spans)
        return self.put(self.names.traces, value, at + 5000, partition)

    def put_line(self, record: LogRecord, *, at: int = 0, partition: int = 0) -> SourceMessage:
        """Append a line without a trace."""
        return self.put(self.names.unlinked_logs, LOG_RECORD.encode(record), at, partition)

    def put_letter(self, letter: OutgoingDeadLetter, sink: str) -> None:
        """Append a dead letter, as the sink does."""
        self.put(self.names.dead_letters, letter.payload, 10_000, headers=letter.headers(sink, lambda text: text))

    def create(self, *topics: str) -> None:
        """Create topics: those alone that are read, and without a retention that takes old times away."""
        kept = {"retention.ms": "-1"}
        for made in self.admin.create_topics([NewTopic(topic, 2, 1, config=kept) for topic in topics]).values():
            made.result(30)

    def decoded(self, *messages: SourceMessage) -> Batch:
        return decode(messages, record_kinds(self.names))

    def write(self, *messages: SourceMessage, only: str | None = None, **settings: str) -> None:
        """Have the sinks write messages, and what they refuse go to the dead letters."""
        batch = self.decoded(*messages)
        stores: dict[str, Callable[[], Any]] = {
            "elasticsearch": lambda: ElasticsearchSink(
                ElasticsearchSettings.load(
                    elasticsearch_url=self.stack.elasticsearch, index_prefix=self.index_prefix, **settings
                ),
                metrics(),
            ),
            "zipkin": lambda: ZipkinSink(ZipkinSettings.load(zipkin_url=self.stack.zipkin, **settings), metrics()),
        }
        for name, make in stores.items():
            if only in {None, name}:
                sink = make()
                for letter in (*batch.dead_letters, *sink.write(batch).dead_letters):
                    self.put_letter(letter, name)
                sink.close()

    def wait_for_zipkin(self, trace_id: bytes, spans: int) -> None:
        """Return once Zipkin shows so many spans of a trace."""
        shown = shown_trace_id(trace_id)

        def there() -> bool:
            answer = http_request("GET", f"{self.stack.zipkin}/api/v2/trace/{shown}")
            return answer.status == 200 and len(answer.json()) >= spans

        eventually(there)

    def delete(self, kind: str, trace_id: bytes) -> None:
        """Delete a trace's documents of a kind (logs, traces) from Elasticsearch."""
        query = {"query": {"term": {"trace.id": shown_trace_id(trace_id)}}}
        hits = eventually(lambda: search(self.stack.elasticsearch, f"{self.index_prefix}{kind}-*", query))
        for hit in hits:
            url = f"{self.stack.elasticsearch}/{hit['_index']}/_doc/{hit['_id']}"
            assert http_request("DELETE", url).status == 200

    def commit(self, sink: str, topic: str, offset: int, partition: int = 0) -> None:
        """Commit an offset as a sink's group does."""
        self.commit_as(self.group(sink), topic, offset, partition)

    def commit_as(self, group: str, topic: str, offset: int, partition: int = 0) -> None:
        consumer = Consumer({"bootstrap.servers": self.stack.kafka, "group.id": group, "enable.auto.commit": False})
        consumer.commit(offsets=[TopicPartition(topic, partition, offset)], asynchronous=False)
        consumer.close()

    def group(self, sink: str) -> str:
        return f"{self.names.prefix}{sink}"

    def verify(self, *arguments: str, sink: str | None = None) -> Result:
        """Run the command; with `sink`, that one's group tells what is due."""
        environment = {
            "TRACELINK_KAFKA_BOOTSTRAP_SERVERS": self.stack.kafka,
            "TRACELINK_ZIPKIN_URL": self.stack.zipkin,
            "TRACELINK_ELASTICSEARCH_URL": self.stack.elasticsearch,
            "TRACELINK_TOPIC_PREFIX": self.names.prefix,
            "TRACELINK_INDEX_PREFIX": self.index_prefix,
        }
        if "--replay" not in arguments:
            environment["TRACELINK_SINK_GROUP"] = self.group(sink or "none")
        return CliRunner(env=environment).invoke(main, ["verify", *STRETCH, *arguments])

    def found(self, *arguments: str, sink: str | None = None) -> dict[str, Any]:
        """Return what the command finds, as JSON."""
        result = self.verify("--json", *arguments, sink=sink)
        assert result.exit_code in {0, 1}, result.output
        answer: dict[str, Any] = json.loads(result.stdout)
        assert result.exit_code == bool(answer["holes"])
        return answer


def counts(**some: int) -> dict[str, int]:
    """Return the counts of a row of which only some are not zero."""
    names = (
        "parts", "spans", "lines", "missing_parts", "missing_lines", "missing_spans",
        "dead_letters", "not_kept", "pending",
    )  # fmt: skip
    return dict.fromkeys(names, 0) | some
