"""`tracelink trends` as a process, against a real Kafka: each curve is the count of `errors` by minute."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest
from confluent_kafka import Message, Producer

from pipeline.failpoints import Failpoint
from pipeline.kafka.compacted import Newest
from pipeline.local.stack import Endpoints
from pipeline.model.dead_letters import REASON
from pipeline.model.problems import OCCURRENCE
from pipeline.model.trends import CURVE, Curve, Kind, summed
from tests.kit.children import Child
from tests.kit.kafka import publish, read_all
from tests.kit.kafka_topics import create
from tests.kit.problem_examples import occurrence
from tests.kit.processes import metrics, running, total
from tests.kit.waiting import wait_for
from tracelink.kafka.client import PARTITIONER

_ENDED = 30.0
_DAY_MS = 86_400_000

Counts = dict[str, dict[int, int]]


@pytest.fixture
def environment(stack: Endpoints, topic_prefix: str) -> dict[str, str]:
    create(stack.kafka, topic_prefix, join_group=f"{topic_prefix}join", partitions=4)
    return {
        "TRACELINK_KAFKA_BOOTSTRAP_SERVERS": stack.kafka,
        "TRACELINK_TOPIC_PREFIX": topic_prefix,
        "TRACELINK_TRENDS_GROUP": f"{topic_prefix}trends",
        "TRACELINK_TRENDS_EVERY": "0.2",
        "TRACELINK_SESSION_TIMEOUT": "6",
    }


def publish_errors(stack: Endpoints, prefix: str, numbers: Sequence[int]) -> None:
    """Publish an occurrence of each of these problems; there is a service for every two problems."""
    found = [occurrence(f"{number:016x}", trace=number) for number in numbers]
    for number, one in zip(numbers, found, strict=True):
        one["service"] = f"s{number // 2}"
    publish(stack.kafka, f"{prefix}errors", [(one["fingerprint"].encode(), OCCURRENCE.encode(one)) for one in found])


def published(stack: Endpoints, prefix: str) -> Counts:
    """Return the counts that the curves by fingerprint must have."""
    counts: dict[str, Counter[int]] = {}
    for message in read_all(stack.kafka, f"{prefix}errors"):
        counts.setdefault((message.key() or b"").decode(), Counter())[minute_of(message)] += 1
    return {name: dict(minutes) for name, minutes in counts.items()}


def minute_of(message: Message) -> int:
    return message.timestamp()[1] // 60_000


def shown(stack: Endpoints, prefix: str, kind: Kind) -> Counts:
    """Return the counts of the topic `trends`, over all partitions."""
    newest = Newest.of(read_all(stack.kafka, f"{prefix}trends"))
    curves: dict[str, list[Curve]] = {}
    for value in newest.values():
        curve = CURVE.decode(value)
        if curve["kind"] == kind:
            curves.setdefault(curve["name"], []).append(curve)
    return {name: summed(of) for name, of in curves.items()}


@contextmanager
def publishing(stack: Endpoints, prefix: str) -> Iterator[None]:
    """Publish errors all the time while the context lasts."""
    over = Event()

    def run() -> None:
        number = 0
        while not over.wait(0.02):
            number += 1
            publish_errors(stack, prefix, [number % 40, (number + 20) % 40])

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def by_service(stack: Endpoints, prefix: str) -> dict[str, int]:
    return {name: sum(minutes.values()) for name, minutes in shown(stack, prefix, "service").items()}


def partitions(url: str) -> float:
    return metrics(url)["tracelink_trends_assigned_partitions"]


def records(url: str) -> float:
    return total(metrics(url), "tracelink_trends_records_total")


def wait_until_equal(stack: Endpoints, prefix: str) -> None:
    wait_for("the curves to be the counts", lambda: shown(stack, prefix, "fingerprint") == published(stack, prefix))


def test_the_curves_are_the_counts_by_minute_and_what_is_invalid_is_skipped(
    stack: Endpoints, topic_prefix: str, environment: dict[str, str], tmp_path: Path
) -> None:
    with running("trends", log=tmp_path / "trends.log", **environment) as worker:
        url = worker.wait_until_ready()
        publish_errors(stack, topic_prefix, range(12))
        publish(stack.kafka, f"{topic_prefix}errors", [(b"f", b"no occurrence"), (b"f", None)])
        publish_errors(stack, topic_prefix, [1, 1, 5])
        wait_for("all to be counted", lambda: sum(by_service(stack, topic_prefix).values()) == 15)
        samples = metrics(url)
        assert total(samples, "tracelink_trends_records_total", topic=f"{topic_prefix}errors") == 17
        assert total(samples, "tracelink_trends_invalid_records_total") == 2
        assert total(samples, "tracelink_trends_curves", kind="fingerprint") == 12
        assert worker.stop() == 0
    found = published(stack, topic_prefix)
    found.pop("f")
    assert shown(stack, topic_prefix, "fingerprint") == found
    assert by_service(stack, topic_prefix) == {"s0": 4, "s1": 2, "s2": 3, "s3": 2, "s4": 2, "s5": 2}


def test_dead_letters_are_counted_by_reason_for_a_day_of_the_stream(
    stack: Endpoints, topic_prefix: str, environment: dict[str, str], tmp_path: Path
) -> None:
    topic, now = f"{topic_prefix}dead-letters", time.time_ns() // 1_000_000
    producer = Producer({"bootstrap.servers": stack.kafka, "partitioner": PARTITIONER})
    for reason, timestamp in (
        (b"old", now - 2 * _DAY_MS),
        (b"body", now - 2 * _DAY_MS),
        (b"body", now - _DAY_MS // 2),
        (b"frame", now),
        (b"ahead", now + 1_800_000),
    ):
        producer.produce(topic, b"?", b"k", partition=0, headers=[(REASON, reason)], timestamp=timestamp)
    producer.produce(topic, b"?", b"k", partition=1)
    assert producer.flush(30) == 0
    with running("trends", log=tmp_path / "trends.log", **environment) as worker:
        worker.wait_until_ready()
        wait_for("the reasons", lambda: {"body", "frame", "ahead", ""} <= shown(stack, topic_prefix, "reason").keys())
        assert worker.stop() == 0
    found = shown(stack, topic_prefix, "reason")
    assert found.keys() == {"body", "frame", "ahead", ""}
    assert found["body"] == {(now - _DAY_MS // 2) // 60_000: 1}
    assert max(found["ahead"]) <= time.time() // 60


def test_a_worker_that_is_killed_before_it_commits_counts_nothing_twice(
    stack: Endpoints, topic_prefix: str, environment: dict[str, str], tmp_path: Path
) -> None:
    worker = Child("trends", ("trends",), environment, tmp_path)
    try:
        worker.start()
        worker.wait_until_ready()
        publish_errors(stack, topic_prefix, range(8))
        wait_until_equal(stack, topic_prefix)
        for _ in range(2):
            worker.order(Failpoint.TRENDS_WRITTEN, "KILL")
            publish_errors(stack, topic_prefix, [*range(8), 1, 2, 3])
            assert worker.wait(_ENDED), "it does not write"
            wait_until_equal(stack, topic_prefix)  # written, and not committed
            worker.start()
            worker.wait_until_ready()
            # The records are read again: they are the first ones, for there are no others.
            wait_for("them to be read again", lambda: total(worker.metrics(), "tracelink_trends_records_total") >= 11)
            publish_errors(stack, topic_prefix, range(9))
            wait_until_equal(stack, topic_prefix)
    finally:
        worker.kill()


def test_a_restarted_worker_counts_what_was_not_written_and_writes_all_curves_again(
    stack: Endpoints, topic_prefix: str, environment: dict[str, str], tmp_path: Path
) -> None:
    with running("trends", log=tmp_path / "a.log", **environment) as worker:
        worker.wait_until_ready()
        publish_errors(stack, topic_prefix, range(4))
        wait_until_equal(stack, topic_prefix)
        assert worker.stop() == 0
    with running("trends", log=tmp_path / "b.log", **environment | {"TRACELINK_TRENDS_EVERY": "600"}) as worker:
        url = worker.wait_until_ready()
        publish_errors(stack, topic_prefix, range(2, 2_000))
        wait_for("all to be read", lambda: records(url) == 1_998)
        assert worker.stop() == 0
    trends = f"{topic_prefix}trends"
    publish(stack.kafka, trends, [(key, None) for key in Newest.of(read_all(stack.kafka, trends))])
    with running("trends", log=tmp_path / "c.log", **environment) as worker:
        url = worker.wait_until_ready()
        wait_until_equal(stack, topic_prefix)
        # Each was read once. Faust would read some before it seeks the committed offsets, and lose some of them.
        assert records(url) == 1_998
        assert worker.stop() == 0


def test_workers_take_partitions_over_with_their_curves(
    stack: Endpoints, topic_prefix: str, environment: dict[str, str], tmp_path: Path
) -> None:
    with running("trends", log=tmp_path / "a.log", **environment) as first:
        first_url = first.wait_until_ready()
        publish_errors(stack, topic_prefix, range(12))
        wait_until_equal(stack, topic_prefix)
        with running("trends", log=tmp_path / "b.log", **environment) as second:
            with publishing(stack, topic_prefix):
                second_url = second.wait_until_ready()
                wait_for("both to have partitions", lambda: {partitions(first_url), partitions(second_url)} == {4})
                wait_for("both to count", lambda: min(records(first_url), records(second_url)) > 0)
            wait_until_equal(stack, topic_prefix)
            with publishing(stack, topic_prefix):
                assert first.stop() == 0
                wait_for("one to have all partitions", lambda: partitions(second_url) == 8)
                before = records(second_url)
                wait_for("it to count", lambda: records(second_url) > before)
            wait_until_equal(stack, topic_prefix)
            assert second.stop() == 0


def test_a_worker_at_the_end_of_transactions_is_not_taken_for_stuck(
    stack: Endpoints, topic_prefix: str, environment: dict[str, str], tmp_path: Path
) -> None:
    producer = Producer({"bootstrap.servers": stack.kafka, "transactional.id": f"{topic_prefix}errors"})
    producer.init_transactions()
    with running("trends", log=tmp_path / "trends.log", **environment, TRACELINK_STUCK_AFTER="2") as worker:
        url = worker.wait_until_ready()
        producer.begin_transaction()
        producer.produce(f"{topic_prefix}errors", OCCURRENCE.encode(occurrence()), b"a" * 16, partition=0)
        producer.commit_transaction()
        wait_until_equal(stack, topic_prefix)
        begun = time.monotonic()
        wait_for("twice the time of the watchdog", lambda: time.monotonic() > begun + 4)
        assert partitions(url) == 8
        assert worker.stop() == 0


def test_a_property_that_faust_lacks_is_refused_by_name(environment: dict[str, str], tmp_path: Path) -> None:
    refused = {"TRACELINK_KAFKA_STATISTICS_INTERVAL_MS": "1000"}
    with running("trends", log=tmp_path / "trends.log", **environment, **refused) as worker:
        assert worker.wait() == 1
        assert "statistics.interval.ms has no equivalent" in worker.output()
