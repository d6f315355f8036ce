"""What every publisher promises: the one in memory is held to what Kafka's does."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from prometheus_client import CollectorRegistry

from tests.kit.kafka_topics import create, read, settings
from tracelink.kafka.messages import LOGS, SPANS, EncodedRecord
from tracelink.metrics import PublisherMetrics
from tracelink.model.codec import LOG_RECORD, SPAN
from tracelink.model.records import NO_TRACE, LogRecord, Span
from tracelink.publisher import Drop, KafkaPublisher, Publisher
from tracelink.settings import PublisherSettings
from tracelink.testing import MemoryPublisher

TRACE_ID = bytes.fromhex("463ac35c9f6413ad48485a3953bb6124")


def span(name: str = "get") -> Span:
    return {
        "flags": 2,
        "traceId": TRACE_ID,
        "id": "000000000000000a",
        "name": name,
        "kind": "SERVER",
        "localEndpoint": {"serviceName": "cart", "port": 80},
        "remoteEndpoint": {"ipv4": "10.0.0.1"},
    }


def log(trace_id: bytes = TRACE_ID) -> LogRecord:
    return {"flags": 0, "traceId": trace_id, "id": "a-1", "timestamp": 1, "message": "hello"}


@dataclass(frozen=True)
class Bench:
    publisher: Publisher
    registry: CollectorRegistry
    read: Callable[[], list[EncodedRecord]]

    def count(self, name: str, **labels: str) -> int:
        return int(self.registry.get_sample_value(f"tracelink_publisher_{name}_total", labels) or 0)

    def dropped(self) -> dict[str, int]:
        return {reason: count for reason in Drop if (count := self.count("dropped_records", reason=reason))}

    def balance(self) -> bool:
        taken = sum(self.count("records", kind=kind) for kind in ("span", "log", "unlinked_log"))
        return taken == self.count("delivered_records") + sum(self.dropped().values())


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.servers)])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    registry = CollectorRegistry()
    metrics = PublisherMetrics(registry)
    publisher: Publisher
    if request.param == "memory":
        memory = MemoryPublisher(PublisherSettings.load(topic_prefix="t.", max_record_bytes=2048), metrics)
        publisher, reader = memory, lambda: memory.messages
    else:
        prefix = request.getfixturevalue("topic_prefix")
        kafka = request.getfixturevalue("stack").kafka
        create(kafka, prefix)
        loaded = settings(kafka, prefix, max_record_bytes=2048)
        publisher, reader = KafkaPublisher(loaded, metrics, close_at_exit=False), lambda: read(loaded)
    yield Bench(publisher, registry, reader)
    publisher.close()


def test_a_span_arrives_whole_under_its_trace_id(bench: Bench) -> None:
    bench.publisher.publish_span(span())
    assert bench.publisher.flush(10)
    (message,) = bench.read()
    assert message.topic.endswith("spans")
    assert message.key == b"463ac35c9f6413ad48485a3953bb6124"
    assert message.value == SPAN.encode(span())
    assert bench.count("records", kind="span") == bench.count("delivered_records") == 1
    assert bench.count("bytes") == len(message.value)


def test_a_log_record_with_a_trace_arrives_under_its_trace_id(bench: Bench) -> None:
    bench.publisher.publish_log(log())
    assert bench.publisher.flush(10)
    (message,) = bench.read()
    assert message.topic.endswith(".logs")
    assert message.key == TRACE_ID.hex().encode()
    assert message.value == LOG_RECORD.encode(log())


def test_a_log_record_without_a_trace_goes_to_the_unlinked_logs_without_a_key(bench: Bench) -> None:
    bench.publisher.publish_log(log(NO_TRACE))
    assert bench.publisher.flush(10)
    (message,) = bench.read()
    assert message.topic.endswith("unlinked-logs")
    assert message.key is None
    assert bench.count("records", kind="unlinked_log") == 1


def test_a_record_that_is_too_large_arrives_without_the_rest_of_its_largest_texts(bench: Bench) -> None:
    bench.publisher.publish_span({**span(), "tags": {"body": "x" * 4096, "error": "refused"}})
    bench.publisher.publish_log({**log(), "message": "y" * 4096})
    assert bench.publisher.flush(10)
    (large,) = (SPAN.decode(message.value) for message in bench.read() if message.kind == SPANS)
    (line,) = (LOG_RECORD.decode(message.value) for message in bench.read() if message.kind == LOGS)
    assert large["tags"]["error"] == "refused"
    assert large["tags"]["tracelink.truncated"] == "body (4096 bytes)"
    assert line["message"].startswith("yyy")
    assert line["fields"] == {"tracelink.truncated": "message (4096 bytes)"}
    assert all(1000 < len(message.value) <= 2048 - 128 for message in bench.read())
    assert not bench.dropped()
    assert bench.balance()


@pytest.mark.parametrize("spare", [0, 1, 32, 64, 127, 128, 129])
def test_a_record_of_nearly_the_largest_size_arrives(bench: Bench, spare: int) -> None:
    length = 2048 - spare - len(SPAN.encode(span("")))
    bench.publisher.publish_span(span("x" * (length - 1)))  # the length of the name takes one more byte
    assert bench.publisher.flush(10)
    (message,) = bench.read()
    found = SPAN.decode(message.value)
    assert len(message.value) == 2048 - spare if spare >= 128 else "tracelink.truncated" in found["tags"]
    assert not bench.dropped()


def test_a_record_that_does_not_fit_its_schema_arrives_with_the_value_in_a_tag(bench: Bench) -> None:
    broken = span("half \ud800")
    broken["timestamp"] = 2**70
    bench.publisher.publish_span(broken)
    bench.publisher.publish_log({**log(), "message": "half \ud800", "timestamp": 2**70})
    assert bench.publisher.flush(10)
    (found,) = (SPAN.decode(message.value) for message in bench.read() if message.kind == SPANS)
    (line,) = (LOG_RECORD.decode(message.value) for message in bench.read() if message.kind == LOGS)
    said = {"tracelink.invalid.timestamp": str(2**70)}
    assert (found["name"], found["timestamp"], found["tags"]) == ("half ?", None, said)
    assert (line["message"], line["fields"]) == ("half ?", said)
    assert not bench.dropped()
    assert bench.balance()


def test_a_record_without_valid_ids_is_dropped_and_breaks_nothing(bench: Bench) -> None:
    bench.publisher.publish_span({**span(), "traceId": b"short"})
    bench.publisher.publish_log({"flags": 0})  # type: ignore[typeddict-item]  # what a broken caller would do
    bench.publisher.drop("span", Drop.INVALID)
    bench.publisher.publish_span(span())
    assert bench.publisher.flush(10)
    assert len(bench.read()) == 1
    assert bench.dropped() == {"invalid": 3}
    assert bench.balance()


def test_after_close_records_are_dropped_and_closing_again_does_nothing(bench: Bench) -> None:
    bench.publisher.publish_span(span())
    bench.publisher.close()
    bench.publisher.close()
    bench.publisher.publish_span(span())
    assert len(bench.read()) == 1
    assert bench.dropped() == {"closed": 1}
    assert bench.balance()
