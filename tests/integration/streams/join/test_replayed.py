"""The join of a replay as a process, against a real Kafka: the live parts again, in the job's topics, and an end."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Message

from pipeline.failpoints import Failpoint
from pipeline.local.stack import Endpoints
from pipeline.model.replay_markers import is_end
from streams.join.settings import JoinSettings
from tests.kit.children import Child
from tests.kit.http import http_request
from tests.kit.kafka import publish, read_all, read_until
from tests.kit.kafka_topics import create
from tests.kit.processes import metrics, running
from tests.kit.records import key, log_message, span_message
from tests.kit.replays import Job
from tests.kit.waiting import eventually, wait_for
from tracelink.errors import UserError

PARTITIONS = 2


@pytest.fixture
def environment(stack: Endpoints, topic_prefix: str) -> dict[str, str]:
    create(stack.kafka, topic_prefix, join_group=f"{topic_prefix}join", partitions=PARTITIONS)
    return {
        "TRACELINK_KAFKA_BOOTSTRAP_SERVERS": stack.kafka,
        "TRACELINK_TOPIC_PREFIX": topic_prefix,
        "TRACELINK_JOIN_GROUP": f"{topic_prefix}join",
        "TRACELINK_INSTANCE_ID": "a",
        "TRACELINK_IDLE_GAP": "0.5",
        "TRACELINK_ALLOWANCE": "0.2",
        "TRACELINK_SESSION_TIMEOUT": "2",
    }


@pytest.fixture
def job(stack: Endpoints, topic_prefix: str, environment: dict[str, str]) -> Job:  # noqa: ARG001 - makes the live topics
    return Job(stack.kafka, topic_prefix, "j1", PARTITIONS)


def publish_live(job: Job) -> None:
    spans = [(key(trace), span_message(trace, errored=trace == 4, root=True)) for trace in range(1, 9)]
    publish(job.servers, job.live.spans, [*spans, (b"no id", b"?")])
    publish(
        job.servers, job.live.logs, [(key(trace), log_message(trace, errored=trace == 5)) for trace in range(3, 11)]
    )


def where(message: Message) -> tuple[int, bytes | None, bytes | None]:
    return message.partition() or 0, message.key(), message.value()


def parts_and_ends(job: Job) -> tuple[list[Message], list[Message]]:
    """Return the job's parts and markers, none of which has a part behind it."""
    parts: list[Message] = []
    ends: list[Message] = []
    for message in read_all(job.servers, job.names.traces):
        if is_end(message):
            ends.append(message)
        else:
            assert message.partition() not in {end.partition() for end in ends}
            parts.append(message)
    return parts, ends


def has_all(job: Job) -> None:
    parts, ends = parts_and_ends(job)
    assert sorted(part.key() or b"" for part in parts) == [key(trace) for trace in range(1, 11)]
    assert sorted(end.partition() or 0 for end in ends) == list(range(PARTITIONS))


def contents(job: Job) -> list[list[tuple[int, bytes | None, bytes | None]]]:
    """Return what the live topics hold."""
    live = job.live
    topics = (live.spans, live.logs, live.traces, live.error_traces, live.dead_letters, live.unlinked_logs)
    return [sorted(map(where, read_all(job.servers, topic))) for topic in topics]


def test_chosen_traces_come_out_again_as_they_did_live(job: Job, environment: dict[str, str], tmp_path: Path) -> None:
    with running("join", log=tmp_path / "live.log", **environment) as join:
        join.wait_until_ready()
        publish_live(job)
        live = read_until(job.servers, job.live.traces, 10)
        assert join.stop() == 0
    chosen = {key(trace) for trace in (2, 4, 5, 7, 9, 10)} | {b"no id"}
    job.copy(lambda message: message.key() in chosen)
    job.end(*job.inputs)
    before = contents(job)
    with running("join", "--replay", job.name, log=tmp_path / "join.log", **environment) as join:
        assert join.wait() == 0
        assert "replay j1: drained partitions [0, 1]; this worker wrote 6 parts of traces" in join.output()
        assert "Traceback" not in join.output()
    parts, ends = parts_and_ends(job)
    assert sorted(map(where, parts)) == sorted(where(part) for part in live if part.key() in chosen)
    assert sorted(end.partition() or 0 for end in ends) == [0, 1]
    assert sorted(part.key() or b"" for part in read_all(job.servers, job.names.error_traces)) == [key(4), key(5)]
    (letter,) = read_all(job.servers, job.names.dead_letters)
    (buried,) = read_all(job.servers, job.live.dead_letters)
    assert (letter.value(), letter.headers()) == (buried.value(), buried.headers())
    assert contents(job) == before


@contextmanager
def child(name: str, job: Job, environment: dict[str, str], folder: Path) -> Iterator[Child]:
    found = Child(name, ("join", "--replay", job.name), environment | {"TRACELINK_INSTANCE_ID": name}, folder)
    try:
        yield found
    finally:
        found.kill()


@pytest.mark.parametrize("point", [Failpoint.WORKER_ADVANCED, Failpoint.WORKER_PRODUCED, Failpoint.WORKER_COMMITTED])
def test_a_worker_that_dies_is_followed_by_one_that_ends_what_it_has_begun(
    job: Job, environment: dict[str, str], tmp_path: Path, point: Failpoint
) -> None:
    publish_live(job)
    job.copy()
    job.end(*job.inputs)
    with child("a", job, environment, tmp_path) as join:
        join.start(point)
        assert join.wait(30)
        join.start()
        assert join.wait(60)
        assert join.ends == [-9, 0]
    has_all(job)


def test_a_worker_that_comes_when_all_is_done_ends_too(job: Job, environment: dict[str, str], tmp_path: Path) -> None:
    publish_live(job)
    job.copy()
    job.end(*job.inputs)
    with child("a", job, environment, tmp_path) as join:
        for _ in range(2):
            join.start()
            assert join.wait(30)
        assert join.ends == [0, 0]
        assert "wrote 0 parts of traces" in join.output()
    has_all(job)


def test_of_several_workers_each_ends(job: Job, environment: dict[str, str], tmp_path: Path) -> None:
    publish_live(job)
    job.copy()
    with child("a", job, environment, tmp_path) as first, child("b", job, environment, tmp_path) as second:
        first.start()
        second.start()
        first.wait_until_ready()
        second.wait_until_ready()
        job.end(*job.inputs)
        assert first.wait(60)
        assert second.wait(60)
        assert (first.ends, second.ends) == ([0], [0])
    has_all(job)


def test_a_copier_that_takes_long_is_waited_for_and_its_last_record_is_not_missed(
    job: Job, environment: dict[str, str], tmp_path: Path
) -> None:
    job.put(job.names.spans, [(0, key(1), span_message(1), 1_000, []), (0, key(2), span_message(2), 90_000, [])])
    job.put(job.names.logs, [(0, key(1), log_message(1), 1_100, [])], commit=False)
    stuck_after = 2.0

    def waited_for_longer() -> bool:
        said = http_request("GET", f"{url}/readyz", timeout=5, retries=False).data.decode()
        found = re.match(r"waiting for a transaction that is open on \S+ at offset 0, for (\d+) s", said)
        return found is not None and float(found.group(1)) > stuck_after + 1

    with running(
        "join", "--replay", job.name, log=tmp_path / "join.log", TRACELINK_STUCK_AFTER=str(stuck_after), **environment
    ) as join:
        url = join.wait_until_ready()
        eventually(waited_for_longer)
        job.commit()
        job.end(job.names.spans)

        def is_joined() -> bool:
            return metrics(url)['tracelink_join_open_records{partition="0"}'] == 2

        wait_for("the trace to lie open, for its log's input has not ended", is_joined)
        job.end(job.names.logs)
        assert join.wait() == 0
    parts, _ = parts_and_ends(job)
    assert [part.key() for part in parts] == [key(1), key(2)]


def test_alerts_get_a_replays_errored_traces_only_when_told_so(
    job: Job, environment: dict[str, str], tmp_path: Path
) -> None:
    job.put(job.names.spans, [(0, key(1), span_message(1, errored=True), 1_000, [])])
    job.end(*job.inputs)
    arguments = ("join", "--replay", job.name, "--replay-alerts", "true")
    with running(*arguments, log=tmp_path / "join.log", **environment) as join:
        assert join.wait() == 0
    assert [message.key() for message in read_all(job.servers, job.live.error_traces)] == [key(1)]
    assert read_all(job.servers, job.names.error_traces) == []
    with pytest.raises(UserError, match=r"TRACELINK_REPLAY_ALERTS .* name the job with --replay"):
        JoinSettings.load(replay_alerts="true")


def test_a_job_that_there_is_not_is_refused(environment: dict[str, str], tmp_path: Path) -> None:
    with running("join", "--replay", "nobodys", log=tmp_path / "join.log", **environment) as join:
        assert join.wait() == 1
        assert "There is no replay job nobodys" in join.output()
