"""Dead letters of a sink that dies with them in its hands."""

from pathlib import Path

from pipeline.failpoints import Failpoint
from pipeline.local.stack import Endpoints
from tests.kit.children import Child
from tests.kit.kafka import read_all
from tests.kit.sink_topics import Topics
from tests.kit.waiting import eventually


def test_a_sink_that_dies_before_it_commits_buries_nothing_twice(
    stack: Endpoints, topic_prefix: str, tmp_path: Path
) -> None:
    topics = Topics(stack.kafka, topic_prefix, partitions=1)
    topics.produce(topics.names.traces, b"no trace at all")
    environment = {
        "TRACELINK_KAFKA_BOOTSTRAP_SERVERS": stack.kafka,
        "TRACELINK_KAFKA_SESSION_TIMEOUT_MS": "2000",
        "TRACELINK_KAFKA_HEARTBEAT_INTERVAL_MS": "500",
        "TRACELINK_TOPIC_PREFIX": topic_prefix,
        "TRACELINK_SINK_GROUP": f"{topic_prefix}group",
        "TRACELINK_ZIPKIN_URL": stack.zipkin,
    }
    sink = Child("zipkin", ("sink", "zipkin"), environment, tmp_path)
    try:
        sink.start(Failpoint.BEFORE_COMMIT)
        assert sink.wait(30)
        sink.start()
        eventually(lambda: topics.committed(f"{topic_prefix}group", topics.names.traces) == 1, seconds=40)
        (letter,) = read_all(stack.kafka, topics.names.dead_letters)
        assert letter.value() == b"no trace at all"
    finally:
        sink.kill()
