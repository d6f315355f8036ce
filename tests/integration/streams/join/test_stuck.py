"""The join as a process that gets no further: it waits for others and says so, or is stuck and ends."""

import re
import signal
import uuid
from pathlib import Path

import pytest
from confluent_kafka import Producer

from pipeline.failpoints import Failpoint
from pipeline.local.stack import Endpoints
from pipeline.runtime.watchdog import STUCK_EXIT_CODE
from tests.kit.children import Child
from tests.kit.http import http_request
from tests.kit.kafka import publish, read_until
from tests.kit.kafka_topics import create
from tests.kit.processes import running
from tests.kit.records import key, log_message, span_message
from tests.kit.waiting import eventually

STUCK_AFTER = 3.0


@pytest.fixture
def environment(stack: Endpoints, topic_prefix: str) -> dict[str, str]:
    create(stack.kafka, topic_prefix, join_group=f"{topic_prefix}join", partitions=1)
    return {
        "TRACELINK_KAFKA_BOOTSTRAP_SERVERS": stack.kafka,
        "TRACELINK_TOPIC_PREFIX": topic_prefix,
        "TRACELINK_JOIN_GROUP": f"{topic_prefix}join",
        "TRACELINK_INSTANCE_ID": "a",
        "TRACELINK_IDLE_GAP": "0.3",
        "TRACELINK_ALLOWANCE": "0.2",
        "TRACELINK_STUCK_AFTER": str(STUCK_AFTER),
    }


def readiness(url: str) -> str:
    return http_request("GET", f"{url}/readyz", timeout=5, retries=False).data.decode().strip()


def somebody(stack: Endpoints) -> Producer:
    """Begin a transaction."""
    producer = Producer({"bootstrap.servers": stack.kafka, "transactional.id": uuid.uuid4().hex})
    producer.init_transactions(20)
    producer.begin_transaction()
    return producer


def waited_for_longer_than_it_takes_to_be_stuck(url: str, what: str) -> bool:
    said = re.match(rf"waiting for a transaction that is open on {re.escape(what)}, for (\d+) s", readiness(url))
    return said is not None and float(said.group(1)) > STUCK_AFTER + 1


def test_an_open_transaction_on_an_input_is_waited_for_and_named(
    stack: Endpoints, topic_prefix: str, environment: dict[str, str], tmp_path: Path
) -> None:
    publish(stack.kafka, f"{topic_prefix}logs", [(key(1), log_message(1))])
    other = somebody(stack)
    other.produce(f"{topic_prefix}logs", log_message(2), key(2))
    assert other.flush(20) == 0
    publish(stack.kafka, f"{topic_prefix}spans", [(key(3), span_message(3))])
    with running("join", log=tmp_path / "join.log", **environment) as join:
        url = join.wait_until_ready()
        what = f"{topic_prefix}logs[0] at offset 1"
        eventually(lambda: waited_for_longer_than_it_takes_to_be_stuck(url, what))
        other.commit_transaction(20)
        assert {message.key() for message in read_until(stack.kafka, f"{topic_prefix}traces", 3)} == {
            key(1), key(2), key(3)
        }  # fmt: skip
        eventually(lambda: readiness(url) == "ready")
        # The end of an input lies beyond the marker of a transaction: that is no lag.
        assert join.stop(signal.SIGTERM) == 0


def test_a_worker_whose_loop_hangs_ends_and_says_why(
    stack: Endpoints, topic_prefix: str, environment: dict[str, str], tmp_path: Path
) -> None:
    publish(stack.kafka, f"{topic_prefix}spans", [(key(1), span_message(1))])
    join = Child("join", ("join",), environment, tmp_path)
    join.start()
    try:
        join.order(Failpoint.WORKER_POLLED, "HANG")
        assert join.wait(60)
        assert not join.running
        assert join.ends == [STUCK_EXIT_CODE]
        # Whether it also tells of a lag depends on what it had reported before.
        assert re.search(r"stuck, ending: .*the loop has been stuck for \d+ s", join.output())
        assert "Traceback" not in join.output()
    finally:
        join.kill()
