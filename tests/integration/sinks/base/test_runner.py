"""The runner, with a real Kafka and the sink that ships for this: nothing lost, nothing committed too early."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from threading import Event, Thread

import pytest
from confluent_kafka import KafkaError, KafkaException
from prometheus_client import CollectorRegistry

from pipeline.local.stack import Endpoints
from pipeline.runtime.watchdog import EndOffset, EndOffsetLookup, watching
from sinks.base.contract import Batch, Kind, Refused, Report, SourceMessage
from sinks.base.decoding import decode
from sinks.base.metrics import SinkMetrics
from sinks.base.runner import Patience, Runner
from sinks.base.settings import SinkSettings
from sinks.testing import MemorySink
from tests.kit.sink_examples import START, log, new_trace_id, span, trace_message
from tests.kit.sink_topics import Topics, headers_of
from tests.kit.waiting import eventually
from tracelink.errors import Unavailable, UserError
from tracelink.kafka.topics import PartitionId
from tracelink.model.codec import LOG_RECORD, SPAN
from tracelink.settings import KafkaSettings

GROUP = "tracelink-sink-memory"
QUICK = Patience(first_retry=0.02, longest_retry=0.1, before_pause=0.2, at_stop=0.5, between_checks=0.2)
CLOSED = START / 1_000_000 + 5


@pytest.fixture
def topics(stack: Endpoints, topic_prefix: str) -> Topics:
    return Topics(stack.kafka, topic_prefix)


class Process:
    """A runner in a thread, and what it counted."""

    def __init__(self, topics: Topics, sink: MemorySink, *, reads: tuple[str, ...] = (), **settings: object) -> None:
        self.registry = CollectorRegistry()
        loaded = SinkSettings.load(
            kafka_bootstrap_servers=topics.brokers,
            topic_prefix=topics.names.prefix,
            sink_group=topics.names.prefix + GROUP,
            **({"batch_wait": "0.05"} | settings),
        )
        self.runner = Runner(
            "memory",
            sink,
            reads or (topics.names.traces, topics.names.unlinked_logs),
            loaded,
            SinkMetrics(self.registry, "memory"),
            clock=lambda: CLOSED + 3,
            patience=QUICK,
        )
        self.ended: list[BaseException | None] = []
        self._thread = Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.runner.run()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.ended.append(error)
        else:
            self.ended.append(None)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.runner.stop()
        self._thread.join(20)
        assert not self._thread.is_alive()

    def value(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, {"sink": "memory", **labels}) or 0.0

    def parts(self, outcome: str) -> float:
        return self.value("tracelink_sink_parts_total", outcome=outcome)


@contextmanager
def running(topics: Topics, sink: MemorySink, *, reads: tuple[str, ...] = (), **settings: object) -> Iterator[Process]:
    process = Process(topics, sink, reads=reads, **settings)
    process.start()
    try:
        yield process
    finally:
        process.stop()
        assert process.ended == [None]


def ends_with(topics: Topics, sink: MemorySink) -> BaseException | None:
    """Run until the runner ends by itself; returns what ended it."""
    process = Process(topics, sink)
    process.start()
    try:
        eventually(lambda: process.ended)
    finally:
        process.stop()
    return process.ended[0]


class WatchedSink(MemorySink):
    """Calls `before` at each write, with the batch."""

    def __init__(self, before: Callable[[Batch], None]) -> None:
        super().__init__()
        self._before = before

    def write(self, batch: Batch) -> Report:
        self._before(batch)
        return super().write(batch)


def committed(topics: Topics) -> int:
    return topics.committed(topics.names.prefix + GROUP, topics.names.traces)


def test_parts_and_unlinked_logs_are_written_and_committed(topics: Topics) -> None:
    sink, trace_id = MemorySink(), new_trace_id()
    topics.produce(topics.names.traces, trace_message([span(trace_id)], [log(trace_id)]))
    topics.produce(topics.names.unlinked_logs, LOG_RECORD.encode(log(bytes(16), id="alone")))
    with running(topics, sink) as process:
        eventually(lambda: committed(topics) == 1)
        eventually(lambda: "alone" in sink.logs)
        eventually(lambda: process.runner.not_ready() is None)
    assert len(sink.spans) == 1
    assert len(sink.logs) == 2
    assert process.parts("written") == 1
    assert process.value("tracelink_sink_freshness_seconds_sum") == pytest.approx(3)


def test_a_record_that_its_sender_repeated_is_counted_as_a_duplicate(topics: Topics) -> None:
    sink, trace_id = MemorySink(), new_trace_id()
    one, line = span(trace_id), log(trace_id)
    topics.produce(topics.names.traces, trace_message([one, one, one], [line, line]))
    with running(topics, sink) as process:
        eventually(lambda: committed(topics) == 1)
        records = "tracelink_sink_records_total"
        for kind, repeats in (("span", 2), ("log", 1)):
            assert process.value(records, kind=kind, outcome="written") == 1
            assert process.value(records, kind=kind, outcome="duplicate") == repeats
    assert len(sink.spans) == len(sink.logs) == 1


def test_nothing_is_committed_before_it_is_written(topics: Topics) -> None:
    seen: list[int] = []
    sink = WatchedSink(lambda _: seen.append(committed(topics)))
    first, second = new_trace_id(), new_trace_id()
    with running(topics, sink):
        for number, trace_id in enumerate((first, second), 1):
            topics.produce(topics.names.traces, trace_message([span(trace_id)]))
            eventually(lambda number=number: committed(topics) == number)  # type: ignore[misc]  # bound now
    assert seen[0] < 0
    assert seen[1] == 1


def test_a_target_that_is_away_is_waited_for_and_gets_the_same_batch_once(topics: Topics) -> None:
    sink, trace_id = MemorySink(), new_trace_id()
    with running(topics, sink) as process:
        eventually(lambda: process.runner.not_ready() is None)
        sink.unavailable = True
        topics.produce(topics.names.traces, trace_message([span(trace_id)]))
        eventually(lambda: process.value("tracelink_sink_retries_total") >= 3)
        assert process.runner.not_ready() == "set to be unavailable"
        assert committed(topics) < 0
        # The group lives on meanwhile: the next message waits in its partition and is not lost either.
        topics.produce(topics.names.traces, trace_message([span(trace_id, "00000000000000b2")], name="s0-2"))
        sink.unavailable = False
        eventually(lambda: committed(topics) == 2)
        assert process.runner.not_ready() is None
    assert process.parts("written") == 2
    assert process.parts("duplicate") == 0
    assert process.value("tracelink_sink_received_parts_total") == 2


def test_a_target_that_is_away_at_start_is_waited_for(topics: Topics) -> None:
    sink = MemorySink()
    sink.unavailable = True
    topics.produce(topics.names.traces, trace_message([span(new_trace_id())]))
    with running(topics, sink) as process:
        eventually(lambda: process.value("tracelink_sink_retries_total") >= 2)
        assert process.runner.not_ready() == "set to be unavailable"
        sink.unavailable = False
        eventually(lambda: committed(topics) == 1)


def test_a_target_that_goes_away_while_there_is_nothing_to_write_is_noticed(topics: Topics) -> None:
    sink = MemorySink()
    with running(topics, sink) as process:
        eventually(lambda: process.runner.not_ready() is None)
        sink.unavailable = True
        eventually(lambda: process.runner.not_ready() == "set to be unavailable")
        assert process.value("tracelink_sink_available") == 0
        sink.unavailable = False
        eventually(lambda: process.runner.not_ready() is None)
        assert process.value("tracelink_sink_available") == 1


def test_a_bad_record_is_cut_out_and_dead_lettered_alone(topics: Topics) -> None:
    sink, trace_id = MemorySink(), new_trace_id()
    good, bad, refused = span(trace_id), SPAN.header + b"\xff\xff", span(trace_id, "not hex")
    topics.produce(
        topics.names.traces, trace_message([good, refused], [log(trace_id)], extra_spans=[bad]), b"no trace at all"
    )
    with running(topics, sink) as process:
        eventually(lambda: committed(topics) == 2)
        letters = topics.messages(topics.names.dead_letters, 3)
    assert len(sink.spans) == 1
    assert len(sink.logs) == 1
    found = {
        (headers_of(letter)["tracelink.reason"], headers_of(letter).get("tracelink.kind")): letter for letter in letters
    }
    assert len(letters) == len(found) == 3
    assert found[b"body", b"span"].value() == SPAN.header + b"\xff\xff"
    assert SPAN.decode(found[b"refused", b"span"].value() or b"")["id"] == "not hex"
    whole = found[b"frame", None]
    assert whole.value() == b"no trace at all"
    assert headers_of(whole)["tracelink.sink"] == b"memory"
    assert headers_of(whole)["tracelink.offset"] == b"1"
    assert process.parts("written") == 1
    assert process.parts("dead_letter") == 1
    assert process.value("tracelink_sink_received_parts_total") == 2
    assert process.value("tracelink_sink_records_total", kind="span", outcome="dead_letter") == 2


def test_a_process_whose_producer_cannot_go_on_ends_and_says_so(
    topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = KafkaException(KafkaError(KafkaError.PRODUCER_FENCED, "the time-out has passed", fatal=True))

    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr("sinks.base.dead_letters.Transactions.flush", fail)
    topics.produce(topics.names.traces, b"no trace at all")
    ended = ends_with(topics, MemorySink())
    assert isinstance(ended, UserError)
    assert "the time-out has passed" in ended.message
    assert committed(topics) < 0


def test_dead_letters_are_there_before_the_commit(topics: Topics, monkeypatch: pytest.MonkeyPatch) -> None:
    failure = KafkaException("not acknowledged")

    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr("sinks.base.dead_letters.DeadLetters.send", fail)
    topics.produce(topics.names.traces, b"no trace at all")
    assert ends_with(topics, MemorySink()) is failure
    assert committed(topics) < 0


@pytest.mark.parametrize("fault", [Refused("the key is wrong"), ZeroDivisionError("a fault of our own")])
def test_whatever_else_goes_wrong_ends_the_runner_without_a_commit(topics: Topics, fault: Exception) -> None:
    def fail(_: Batch) -> None:
        raise fault

    topics.produce(topics.names.traces, trace_message([span(new_trace_id())]))
    assert ends_with(topics, WatchedSink(fail)) is fault
    assert committed(topics) < 0


def test_a_stop_while_the_target_hangs_leaves_the_batch_uncommitted(topics: Topics) -> None:
    writing, released = Event(), Event()

    def hang(_: Batch) -> None:
        writing.set()
        released.wait(60)

    topics.produce(topics.names.traces, trace_message([span(new_trace_id())]))
    with running(topics, WatchedSink(hang)) as process:
        assert writing.wait(20)
        process.runner.stop()
        eventually(lambda: process.ended, seconds=5)
    released.set()
    assert committed(topics) < 0
    assert process.parts("released") == 1
    assert process.value("tracelink_sink_received_parts_total") == 1


def test_a_partition_that_leaves_during_a_retry_is_left_to_its_next_owner(topics: Topics) -> None:
    sizes: list[int] = []
    back = Event()

    def refuse_until_back(batch: Batch) -> None:
        sizes.append(len(batch.parts))
        if not back.is_set():
            raise Unavailable("away for a while")

    sink, other = WatchedSink(refuse_until_back), MemorySink()
    for partition in range(2):
        topics.produce(topics.names.traces, trace_message([span(new_trace_id())]), partition=partition)
    only_traces = (topics.names.traces,)
    with running(topics, sink, reads=only_traces, batch_wait="1") as process:
        eventually(lambda: len(sizes) > 2)
        assert set(sizes) == {2}
        with running(topics, other, reads=only_traces) as second:
            eventually(lambda: len(other.spans) == 1)
            eventually(lambda: sizes[-1] == 1)
            back.set()
            eventually(lambda: process.parts("written") == 1)
            assert second.parts("written") == 1
    assert process.parts("released") == 1
    assert process.value("tracelink_sink_received_parts_total") == 2
    assert len(sink.spans) == 1
    assert not set(sink.spans) & set(other.spans)


def test_aborted_transactions_are_not_read_and_lag_still_gets_to_zero(topics: Topics) -> None:
    sink, trace_id = MemorySink(), new_trace_id()
    topics.produce_in_transaction(topics.names.traces, trace_message([span(new_trace_id())]), commit=False)
    topics.produce_in_transaction(topics.names.traces, trace_message([span(trace_id)]), commit=True)
    with running(topics, sink) as process:
        # Two messages, and a marker behind each.
        eventually(lambda: committed(topics) == 4)
        lag = "tracelink_sink_committed_lag_messages"
        where = {"sink": "memory", "topic": topics.names.traces, "partition": "0"}
        eventually(lambda: process.registry.get_sample_value(lag, where) == 0)
    assert [key[0] for key in sink.spans] == [trace_id]


def test_a_batch_ends_at_its_size(topics: Topics) -> None:
    sizes: list[int] = []
    sink = WatchedSink(lambda batch: sizes.append(len(batch.parts)))
    message = trace_message([span(new_trace_id(), tags={"filler": "x" * 600})])
    topics.produce(topics.names.traces, *[message] * 6)
    with running(topics, sink, batch_bytes="1024"):
        eventually(lambda: committed(topics) == 6)
    assert sizes == [2, 2, 2]


def test_what_arrives_while_the_target_is_away_waits_in_kafka(topics: Topics) -> None:
    sizes: list[int] = []
    back = Event()

    def refuse_until_back(batch: Batch) -> None:
        sizes.append(len(batch.parts))
        if not back.is_set():
            raise Unavailable("away for a while")

    message = trace_message([span(new_trace_id(), tags={"filler": "x" * 600})])
    with running(topics, WatchedSink(refuse_until_back), batch_bytes="1024"):
        topics.produce(topics.names.traces, message)
        eventually(lambda: len(sizes) > 1)
        topics.produce(topics.names.traces, *[message] * 6)
        tries = len(sizes)
        eventually(lambda: len(sizes) > tries + 3)
        back.set()
        eventually(lambda: committed(topics) == 7)
    assert max(sizes) == 2


class HeldSink(WatchedSink):
    """Says when it is called to write, and writes only once it is let."""

    def __init__(self) -> None:
        super().__init__(self._wait)
        self.called, self.let = Event(), Event()
        self.sizes: list[int] = []

    def _wait(self, batch: Batch) -> None:
        self.sizes.append(len(batch.parts))
        self.called.set()
        assert self.let.wait(60)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Batch]:
    """Give the batches that were decoded so far."""
    found: list[Batch] = []

    def note(messages: Iterable[SourceMessage], kinds: Mapping[str, Kind], *, logs: bool) -> Batch:
        made = decode(messages, kinds, logs=logs)
        if made:
            found.append(made)
        return made

    monkeypatch.setattr("sinks.base.runner.decode", note)
    return found


def long_message() -> bytes:
    """Return a message of which two fill a batch of a KiB."""
    return trace_message([span(new_trace_id(), tags={"filler": "x" * 600})])


def test_one_batch_more_is_prepared_while_one_is_written(topics: Topics, decoded: list[Batch]) -> None:
    sink = HeldSink()
    topics.produce(topics.names.traces, *[long_message() for _ in range(8)])
    with running(topics, sink, batch_bytes="1024") as process:
        eventually(lambda: len(decoded) == 2)
        assert sink.sizes == [2]
        time.sleep(3 * QUICK.before_pause)  # the partitions are paused meanwhile
        assert len(decoded) == 2
        sink.let.set()
        eventually(lambda: committed(topics) == 8)
        assert process.value("tracelink_sink_received_parts_total") == 8
    assert sink.sizes == [2, 2, 2, 2]


def test_a_batch_is_committed_while_the_next_is_written_and_never_before_it_is_written_itself(
    topics: Topics, decoded: list[Batch]
) -> None:
    seen: list[int] = []

    def wait_for_the_one_before(_: Batch) -> None:
        if seen:
            eventually(lambda: committed(topics) == 2 * len(seen), seconds=5)
        seen.append(committed(topics))
        eventually(lambda: len(decoded) == min(len(seen) + 1, 4))

    topics.produce(topics.names.traces, *[long_message() for _ in range(8)])
    with running(topics, WatchedSink(wait_for_the_one_before), batch_bytes="1024"):
        eventually(lambda: committed(topics) == 8)
    assert seen[0] < 0
    assert seen[1:] == [2, 4, 6]


def test_a_stop_commits_what_is_written_and_leaves_what_is_prepared(topics: Topics, decoded: list[Batch]) -> None:
    sink = HeldSink()
    topics.produce(topics.names.traces, *[long_message() for _ in range(4)])
    with running(topics, sink, batch_bytes="1024") as process:
        eventually(lambda: len(decoded) == 2)
        process.runner.stop()
        sink.let.set()
    assert sink.sizes == [2]
    assert committed(topics) == 2
    assert process.value("tracelink_sink_received_parts_total") == process.parts("written") == 2


def test_a_partition_that_leaves_with_a_prepared_batch_is_left_to_its_next_owner(
    topics: Topics, decoded: list[Batch]
) -> None:
    sink, other, names = HeldSink(), HeldSink(), topics.names

    def offsets() -> list[int]:
        return [topics.committed(names.prefix + GROUP, names.traces, partition) for partition in range(2)]

    for partition in range(2):
        topics.produce(names.traces, *[long_message() for _ in range(8)], partition=partition)
    with running(topics, sink, reads=(names.traces,), batch_bytes="4096") as process:
        eventually(lambda: len(decoded) == 2)
        (prepared,) = decoded[1:]
        with running(topics, other, reads=(names.traces,)) as second:
            assert other.called.wait(20)  # it has its partition, and keeps it uncommitted
            sink.let.set()
            eventually(lambda: 8 in offsets())
            assert min(offsets()) < 0
            lost = offsets().index(min(offsets()))
            other.let.set()
            eventually(lambda: offsets() == [8, 8])
            assert second.parts("written") == 8
    released = sum(part.message.origin.partition == lost for part in prepared.parts)
    assert released > 0
    assert process.parts("released") == released
    assert process.value("tracelink_sink_received_parts_total") == process.parts("written") + released


@contextmanager
def watched(topics: Topics, sink: MemorySink, waits: Callable[[Process], object], *, looks: int) -> Iterator[Event]:
    """Run a sink that is watched once it `waits`; gives an event for so many looks, ten in each `stuck_after`."""
    ends, enough, asked = EndOffsetLookup(KafkaSettings.load(kafka_bootstrap_servers=topics.brokers)), Event(), count(1)

    def ask(partitions: Iterable[PartitionId]) -> Mapping[PartitionId, EndOffset]:
        if next(asked) == looks:
            enough.set()
        return ends(partitions)

    with running(topics, sink, stuck_after="0.5") as process:
        eventually(lambda: waits(process))  # a consumer may take longer than `stuck_after` to begin
        with watching(process.runner.watchdog, ask, end=enough.set, grace=60):
            yield enough


def test_a_target_that_is_away_for_long_is_no_reason_to_end(topics: Topics) -> None:
    sink = MemorySink()
    sink.unavailable = True
    topics.produce(topics.names.traces, trace_message([span(new_trace_id())]))
    with watched(topics, sink, lambda process: process.value("tracelink_sink_retries_total") > 2, looks=30) as enough:
        assert enough.wait(20)


def test_an_answer_that_takes_long_within_the_time_outs_is_no_reason_to_end(topics: Topics) -> None:
    writing, answered = Event(), Event()

    def hang(_: Batch) -> None:
        writing.set()
        answered.wait(60)

    topics.produce(topics.names.traces, trace_message([span(new_trace_id())]))
    with watched(topics, WatchedSink(hang), lambda _: writing.is_set(), looks=30) as enough:
        assert enough.wait(20)
        answered.set()
        eventually(lambda: committed(topics) == 1)
