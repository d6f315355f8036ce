"""The sinks of a replay: they write what the live ones wrote, and end."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from confluent_kafka import Message
from prometheus_client import CollectorRegistry

from pipeline.failpoints import Failpoint
from pipeline.local.stack import Endpoints
from pipeline.model.dead_letters import REDRIVEN
from pipeline.model.replay_markers import is_end
from pipeline.runtime.watchdog import EndOffset, EndOffsetLookup, watching
from sinks.base.contract import Batch, Report
from sinks.base.metrics import SinkMetrics
from sinks.base.runner import Patience, Runner
from sinks.testing import MemorySink
from sinks.zipkin.settings import ZipkinSettings
from tests.kit.children import Child
from tests.kit.kafka import publish, read_until
from tests.kit.kafka_topics import create
from tests.kit.processes import metrics, running
from tests.kit.replays import Job
from tests.kit.sink_examples import START, log, new_trace_id, span, trace_message
from tests.kit.sink_targets import search
from tests.kit.sink_topics import Topics, headers_of
from tests.kit.waiting import eventually
from tracelink.kafka.topics import PartitionId
from tracelink.model.codec import LOG_RECORD, SPAN
from tracelink.settings import KafkaSettings

PARTITIONS = 2


@pytest.fixture
def topics(stack: Endpoints, topic_prefix: str) -> Topics:
    return Topics(stack.kafka, topic_prefix, PARTITIONS)


@pytest.fixture
def job(topics: Topics) -> Job:
    return Job(topics.brokers, topics.names.prefix, "j1", PARTITIONS)


class Process:
    """The runner of a replay in a thread, and what it counted."""

    def __init__(self, job: Job, sink: MemorySink, settings: dict[str, str]) -> None:
        self.registry = CollectorRegistry()
        loaded = ZipkinSettings.load(
            kafka_bootstrap_servers=job.servers,
            topic_prefix=job.live.prefix,
            replay=job.name,
            **({"batch_wait": "0.05"} | settings),
        )
        reads = (job.names.traces, job.names.unlinked_logs)
        metrics = SinkMetrics(self.registry, "memory")
        self.runner = Runner("memory", sink, reads, loaded, metrics, patience=Patience(0.02, 0.1))
        self.failed: list[BaseException] = []
        self._thread = Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.runner.run()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.failed.append(error)

    def start(self) -> None:
        self._thread.start()

    def ends(self) -> None:
        """Wait until it has ended by itself, and well."""
        self._thread.join(30)
        assert not self._thread.is_alive()
        assert not self.failed

    def stop(self) -> None:
        self.runner.stop()
        self._thread.join(20)


@contextmanager
def reading(job: Job, sink: MemorySink, **settings: str) -> Iterator[Process]:
    process = Process(job, sink, settings)
    process.start()
    try:
        yield process
    finally:
        process.stop()


def put(job: Job, topic: str, *values: bytes, partition: int = 0) -> None:
    job.put(topic, [(partition, b"key", value, START // 1000, []) for value in values])


def a_part() -> bytes:
    return trace_message([span(new_trace_id())])


def test_a_sink_ends_behind_the_end_markers_and_is_committed_at_them(topics: Topics, job: Job) -> None:
    sink, group = MemorySink(), job.names.job_group("sink-memory")
    put(job, job.names.traces, a_part(), a_part())
    put(job, job.names.unlinked_logs, LOG_RECORD.encode(log(bytes(16), id="alone")), partition=1)
    with reading(job, sink) as process:
        eventually(lambda: len(sink.spans) == 2 and len(sink.logs) == 1)
        job.end(job.names.traces)
        eventually(lambda: topics.committed(group, job.names.traces) == 3)  # two parts, and the end of a transaction
        assert process.runner.not_ready() is None
        job.end(job.names.unlinked_logs)
        process.ends()
    assert topics.committed(group, job.names.traces) == 3
    assert topics.committed(group, job.names.unlinked_logs, 1) == 2
    assert not process.failed


def test_what_lies_behind_an_end_marker_is_not_read_and_a_later_start_ends_as_well(topics: Topics, job: Job) -> None:
    put(job, job.names.traces, a_part())
    job.end(*job.inputs, job.names.traces)
    put(job, job.names.traces, a_part())
    job.end(job.names.traces)
    for spans in (1, 0):
        sink = MemorySink()
        with reading(job, sink) as process:
            process.ends()
        assert len(sink.spans) == spans
        assert topics.committed(job.names.job_group("sink-memory"), job.names.traces) == 2


def test_what_was_read_together_with_the_end_markers_while_a_batch_was_written_is_written_too(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Message] = []

    def note(message: Message) -> bool:
        if is_end(message):
            seen.append(message)
        return is_end(message)

    class Slow(MemorySink):
        def write(self, batch: Batch) -> Report:
            eventually(lambda: len(seen) == 2 * PARTITIONS)
            return super().write(batch)

    monkeypatch.setattr("sinks.base.source.is_end", note)
    put(job, job.names.traces, *[trace_message([span(new_trace_id(), tags={"filler": "x" * 600})]) for _ in range(3)])
    job.end(*job.inputs, job.names.traces)
    sink = Slow()
    with reading(job, sink, batch_bytes="1024") as process:  # two fill it
        process.ends()
    assert len(sink.spans) == 3


def test_a_replay_tells_nothing_of_how_fresh_the_documents_are(job: Job) -> None:
    put(job, job.names.traces, a_part())
    job.end(*job.inputs, job.names.traces)
    with reading(job, MemorySink()) as process:
        process.ends()
    sample = process.registry.get_sample_value
    assert sample("tracelink_sink_parts_total", {"sink": "memory", "outcome": "written"}) == 1
    assert not sample("tracelink_sink_freshness_seconds_count", {"sink": "memory"})


def test_a_dead_letter_of_a_replay_stays_with_the_job_and_keeps_how_often_it_was_redriven(
    topics: Topics, job: Job
) -> None:
    bad = SPAN.header + b"\xff\xff"
    cut = trace_message([span(new_trace_id())], extra_spans=[bad])
    job.put(job.names.traces, [(0, b"key", value, 1000, [(REDRIVEN, b"2")]) for value in (b"no trace at all", cut)])
    job.end(*job.inputs, job.names.traces)
    with reading(job, MemorySink()) as process:
        process.ends()
    letters = topics.messages(job.names.dead_letters, 2)
    assert {letter.value() for letter in letters} == {b"no trace at all", bad}
    assert [headers_of(letter)[REDRIVEN] for letter in letters] == [b"2", b"2"]
    assert topics.messages(topics.names.dead_letters, 0) == []


def test_a_live_dead_letter_keeps_how_often_it_was_redriven(topics: Topics, stack: Endpoints, tmp_path: Path) -> None:
    topics.produce(topics.names.traces, b"never redriven")
    job = Job(topics.brokers, topics.names.prefix, "unused", PARTITIONS)
    job.put(topics.names.traces, [(0, b"key", b"no trace at all", 1000, [(REDRIVEN, b"1")])])
    own = environment(topics, stack) | {"TRACELINK_SINK_GROUP": f"{topics.names.prefix}sink"}
    with running("sink", "zipkin", log=tmp_path / "sink.log", **own) as process:
        process.wait_until_ready()
        letters = topics.messages(topics.names.dead_letters, 2)
        assert process.stop() == 0
    assert {letter.value(): headers_of(letter).get(REDRIVEN) for letter in letters} == {
        b"never redriven": None,
        b"no trace at all": b"1",
    }


def test_a_sink_that_waits_for_the_join_is_not_stuck(topics: Topics, job: Job) -> None:
    """One partition is over, and its end lies beyond what is committed of it; another is still to come."""
    ask_kafka, looks, enough = (
        EndOffsetLookup(KafkaSettings.load(kafka_bootstrap_servers=job.servers)),
        count(1),
        Event(),
    )

    def ask(partitions: Iterable[PartitionId]) -> Mapping[PartitionId, EndOffset]:
        if next(looks) == 30:  # ten in each `stuck_after`
            enough.set()
        return ask_kafka(partitions)

    put(job, job.names.traces, a_part())
    job.end(*job.inputs)
    job.end(job.names.traces, partitions=[0])
    group = job.names.job_group("sink-memory")
    with reading(job, MemorySink(), stuck_after="0.5") as process:
        eventually(lambda: topics.committed(group, job.names.traces) == 2)
        with watching(process.runner.watchdog, ask, end=enough.set, grace=60):
            assert enough.wait(30)
        job.end(job.names.traces, partitions=[1])
        process.ends()


def environment(topics: Topics, stack: Endpoints) -> dict[str, str]:
    return {
        "TRACELINK_KAFKA_BOOTSTRAP_SERVERS": topics.brokers,
        "TRACELINK_TOPIC_PREFIX": topics.names.prefix,
        "TRACELINK_ZIPKIN_URL": stack.zipkin,
        "TRACELINK_ELASTICSEARCH_URL": stack.elasticsearch,
    }


Documents = dict[tuple[str, str], Any]
"""By index and id."""
SUFFIX = "-replayed"


def test_a_replay_says_nothing_of_the_services_nor_reads_the_live_problems(
    topics: Topics, job: Job, stack: Endpoints, index_prefix: str, tmp_path: Path
) -> None:
    put(job, job.names.traces, a_part())
    own = environment(topics, stack) | {"TRACELINK_INDEX_PREFIX": index_prefix}
    written = 'tracelink_sink_parts_total{outcome="written",sink="elasticsearch"}'
    with running("sink", "elasticsearch", "--replay", job.name, log=tmp_path / "sink.log", **own) as process:
        url = process.wait_until_ready()
        eventually(lambda: metrics(url).get(written) == 1)
        assert not [name for name in metrics(url) if name.startswith("tracelink_service")]
        assert f"reads {job.names.traces} and {job.names.unlinked_logs}\n" in process.output()
        assert process.stop() == 0


@dataclass(frozen=True)
class Written:
    """A job whose traces are joined, the documents that there are of the live ones, and where to write."""

    job: Job
    live: Documents
    environment: dict[str, str]
    _url: str
    _index_prefix: str

    def documents(self, *, beside: bool = False) -> Documents:
        """Return the documents in the live indices, or in those beside them under the same names."""
        return documents(self._url, self._index_prefix, beside=beside)


def documents(url: str, index_prefix: str, *, beside: bool = False) -> Documents:
    hits = search(url, f"{index_prefix}*", {"query": {"match_all": {}}, "size": 100})
    return {
        (hit["_index"].removesuffix(SUFFIX), hit["_id"]): hit["_source"]
        for hit in hits
        if hit["_index"].endswith(SUFFIX) == beside
    }


@pytest.fixture
def written(topics: Topics, job: Job, stack: Endpoints, index_prefix: str, tmp_path: Path) -> Written:
    """Have traces joined and written live, copied, and joined again."""
    prefix = topics.names.prefix
    own = environment(topics, stack) | {
        "TRACELINK_INDEX_PREFIX": index_prefix,
        "TRACELINK_IDLE_GAP": "0.5",
        "TRACELINK_ALLOWANCE": "0.2",
        "TRACELINK_JOIN_GROUP": f"{prefix}join",
    }
    create(job.servers, prefix, join_group=f"{prefix}join", partitions=PARTITIONS)
    traces = [new_trace_id() for _ in range(5)]
    for topic, values in (
        (job.live.spans, [(one.hex().encode(), SPAN.encode(span(one))) for one in traces]),
        (job.live.logs, [(one.hex().encode(), LOG_RECORD.encode(log(one))) for one in traces]),
        # Its index goes by the time at which it came.
        (job.live.unlinked_logs, [(b"key", LOG_RECORD.encode(log(bytes(16), timestamp=0)))]),
    ):
        publish(job.servers, topic, values)
    group = {"TRACELINK_SINK_GROUP": f"{prefix}sink"}
    with (
        running("join", log=tmp_path / "live-join.log", **own) as join,
        running("sink", "elasticsearch", log=tmp_path / "live-sink.log", **own, **group) as sink,
    ):
        eventually(lambda: len(documents(stack.elasticsearch, index_prefix)) == 11, seconds=60)
        assert join.stop() == sink.stop() == 0
    job.copy()
    job.end(*job.inputs)
    with running("join", "--replay", job.name, log=tmp_path / "join.log", **own) as join:
        assert join.wait(seconds=60) == 0
    return Written(job, documents(stack.elasticsearch, index_prefix), own, stack.elasticsearch, index_prefix)


def test_a_replay_whose_sink_dies_writes_the_live_documents_beside_them_and_changes_nothing_over_them(
    written: Written, tmp_path: Path
) -> None:
    own = written.environment | {
        "TRACELINK_KAFKA_SESSION_TIMEOUT_MS": "2000",
        "TRACELINK_KAFKA_HEARTBEAT_INTERVAL_MS": "500",
        "TRACELINK_SINK_GROUP": f"{written.job.live.prefix}sink",  # which is no business of a replay
    }
    arguments = ("sink", "elasticsearch", "--replay", written.job.name)
    sink = Child("elasticsearch", (*arguments, f"--index-suffix={SUFFIX}"), own, tmp_path)
    try:
        for point in (Failpoint.SINK_WRITTEN, Failpoint.SINK_BEFORE_COMMIT, None):
            sink.start(point) if point else sink.start()
            assert sink.wait(60)
        assert sink.ends == [-9, -9, 0]
    finally:
        sink.kill()
    assert written.documents(beside=True) == written.live
    with running(*arguments, log=tmp_path / "over.log", **own) as process:
        assert process.wait(seconds=60) == 0
        assert "replay j1: all partitions of this process are done" in process.output()
        assert "5 parts duplicate" in process.output()
        assert "parts written" not in process.output()
    assert written.documents() == written.live


def test_zipkin_gets_the_spans_of_a_replay(topics: Topics, job: Job, stack: Endpoints, tmp_path: Path) -> None:
    trace_id = new_trace_id()
    put(job, job.names.traces, trace_message([span(trace_id)], [log(trace_id)]))
    job.end(job.names.traces)
    own = environment(topics, stack)
    with running("sink", "zipkin", "--replay", job.name, log=tmp_path / "sink.log", **own) as process:
        assert process.wait(seconds=60) == 0
        assert "1 parts written" in process.output()

    def stored() -> int:
        return len(search(stack.elasticsearch, "zipkin-span-*", {"query": {"term": {"traceId": trace_id.hex()}}}))

    eventually(lambda: stored() == 1)
    assert read_until(job.servers, job.names.traces, 3)  # nothing is taken away from other sinks
