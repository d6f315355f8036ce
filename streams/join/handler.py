"""The join as a worker's handler: the pure core makes all decisions, the handler updates the metrics."""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from threading import Event
from typing import Any

from confluent_kafka import TopicPartition

from pipeline.failpoints import Failpoint, hit
from pipeline.kafka.transactions import JournalRecord
from pipeline.settings import names_of
from streams.join.journal import Entry, Ledger
from streams.join.metrics import JoinMetrics, MetricsRecorder
from streams.join.ownership import Committed, Ownership, Written
from streams.join.partition import JoinPartition, Target
from streams.join.replayed import ReplayedPartition
from streams.join.settings import JoinSettings
from streams.join.window import LOGS, SPANS
from streams.worker.handler import Due, Outgoing, Turn
from streams.worker.restore import RestoreReader
from tracelink.errors import UserError
from tracelink.kafka.topics import PartitionId, TopicNames

_log = logging.getLogger(__name__)

_KINDS = (SPANS, LOGS)
_REPORT_EVERY = 1000.0
# An input that runs ahead of the other is queued up to this size, then paused until half of the queue is gone. A pause
# drops librdkafka's prefetched messages, so it must be rare.
_QUEUE_BYTES = 32 * 1024 * 1024


class Join:
    """Joins spans[p] and logs[p]; sets `stopping` at the end of a replay. See Handler."""

    def __init__(self, settings: JoinSettings, metrics: JoinMetrics, stopping: Event) -> None:
        names, live = names_of(settings), TopicNames(settings.topic_prefix)
        self.group = settings.group
        self.topics: Sequence[str] = (names.spans, names.logs)
        self.journal = names.journal(self.group)
        self.commit_interval = settings.commit_interval
        self.transactions = metrics.transactions
        self._settings = settings
        self._job = names.job
        self._live_inputs = (live.spans, live.logs)
        self._targets = {
            Target.TRACES: names.traces,
            Target.ERROR_TRACES: (live if settings.replay_alerts else names).error_traces,
            Target.DEAD_LETTERS: names.dead_letters,
        }
        self._limits = settings.limits()
        self._metrics = metrics
        self._recorder = MetricsRecorder(metrics)
        self._stopping = stopping
        self._ownership = Ownership(self._make_partition)
        self._written: Mapping[int, Written] = {}
        # Inputs, as (partition, kind), that are too far ahead of the other.
        self._paused: set[tuple[int, int]] = set()
        self._due_since = 0.0
        self._next_report = 0.0
        self._parts = 0

    def assign(self, partitions: Sequence[PartitionId], restore: RestoreReader) -> dict[PartitionId, int]:
        """Take partitions: with their kept state if no other worker has committed since, else from their journals."""
        started = time.monotonic()
        numbers = sorted({number for _, number in partitions})
        if len(partitions) != len(self.topics) * len(numbers):
            raise UserError(
                f"The group {self.group} has not assigned both inputs of each partition to this worker: {partitions}. "
                "All its members must run this version, with the assignment strategy `range`."
            )
        found = restore.committed(partitions)
        spans, logs = self.topics
        committed = {
            number: Committed.read(
                (found[spans, number].offset, found[logs, number].offset), found[spans, number].metadata
            )
            for number in numbers
        }
        unknown = self._ownership.unknown(committed)
        late_for = round(self._settings.late_for * 1000)
        ledgers = {number: Ledger(late_for, one.positions) for number, one in unknown.items()}
        for message in restore.journal({number: one.journal or 0 for number, one in unknown.items()}):
            value = message.value()
            if value is not None:
                ledgers[message.partition() or 0].learn(message.offset() or 0, Entry.decode(value))
        self._release(self._ownership.assign(committed, ledgers))
        self._paused.clear()
        self._metrics.recovery_seconds.observe(time.monotonic() - started)
        _log.info("joining partitions %s, %d with their kept state", numbers, len(numbers) - len(unknown))
        return {(self.topics[kind], one.number): one.next_offset(kind) for one, kind in self._inputs()}

    def receive(self, topic: str, number: int, messages: Sequence[Any], turn: Turn) -> None:
        """Take in messages of one input."""
        held = self._ownership.held.get(number)
        if held is not None:  # else not assigned any more
            held.partition.receive(LOGS if topic == self.topics[LOGS] else SPANS, messages, turn.now, turn.wall)

    def reach_end(self, topic: str, number: int, offset: int) -> None:
        """Note the end of an input."""
        held = self._ownership.held.get(number)
        if held is not None:
            held.partition.reach_end(self.topics.index(topic), offset)

    def advance(self, turn: Turn) -> Iterator[Outgoing]:
        """Advance the windows, and yield the messages to send."""
        partitions = self._ownership.partitions()
        if self._job is not None and partitions and all(partition.drained for partition in partitions):
            self._stop(partitions)
        for partition in partitions:
            partition.advance(turn.now)
            self._balance(partition, turn)
        self._ownership.relieve(self._settings.max_open_bytes)
        if turn.now >= self._next_report:
            self._report(partitions, turn)
            self._next_report = turn.now + _REPORT_EVERY
        hit(Failpoint.WORKER_ADVANCED)
        for target, key, value, headers, number in self._ownership.unsent():
            yield Outgoing(self._targets[target], key, value, headers, number)

    def due(self) -> Due | None:
        """Return the journal records and offsets of all partitions with new output or offsets."""
        shares = self._ownership.due()
        if not shares:
            return None
        self._due_since = time.monotonic()

        def offsets(at: Mapping[int, Sequence[int]]) -> list[TopicPartition]:
            self._written = self._ownership.written(shares, at)
            return [
                TopicPartition(topic, number, offset, metadata=one.committing.metadata())
                for number, one in self._written.items()
                for topic, offset in zip(self.topics, one.committing.positions, strict=True)
            ]

        records = [
            JournalRecord(number, None, entry.encode()) for number, share in shares.items() for entry in share.entries
        ]
        return Due(records, offsets)

    def settle(self, *, committed: bool) -> None:
        """Count the committed output, or mark it as unsent after an abort."""
        if not committed:
            self._ownership.aborted()
            return
        self._metrics.transaction_seconds.observe(time.monotonic() - self._due_since)
        for number, gone_out in self._ownership.committed(self._written).items():
            self._recorder.commit(self._ownership.held[number].partition, gone_out)
            self._parts += gone_out.parts.total()

    def release(self, *, committed: bool) -> None:
        """Release all partitions; if committed, keep their state, in case the next assignment brings them back."""
        if committed:
            self._ownership.revoke()
        else:
            self._release(self._ownership.release_all())

    def progress(self) -> dict[PartitionId, int]:
        """Return the offset up to which each input is joined, without inputs that wait for the replay's copier."""
        inputs = [(one, kind) for one, kind in self._inputs() if not one.waits(kind)]
        return {(self.topics[kind], one.number): one.taken_until(kind) for one, kind in inputs}

    def _inputs(self) -> Iterator[tuple[JoinPartition, int]]:
        return product(self._ownership.partitions(), _KINDS)

    def _balance(self, partition: JoinPartition, turn: Turn) -> None:
        """Pause an input that is far ahead of the other; resume it when the other has caught up."""
        for kind in _KINDS:
            queued = partition.queued(kind)
            if (partition.number, kind) in self._paused:
                if queued < _QUEUE_BYTES // 2:
                    turn.resume(self.topics[kind], partition.number)
                    self._paused.remove((partition.number, kind))
            elif queued > _QUEUE_BYTES:
                turn.pause(self.topics[kind], partition.number)
                self._paused.add((partition.number, kind))

    def _stop(self, partitions: Sequence[JoinPartition]) -> None:
        numbers = sorted(partition.number for partition in partitions)
        message = "replay %s: drained partitions %s; this worker wrote %d parts of traces"
        _log.info(message, self._job, numbers, self._parts)
        self._stopping.set()

    def _make_partition(self, number: int, committed: Committed, ledger: Ledger) -> JoinPartition:
        make = JoinPartition if self._job is None else ReplayedPartition
        return make(
            number,
            topics=self._live_inputs,
            limits=self._limits,
            ledger=ledger,
            positions=committed.positions,
            times=committed.times,
            allowance=round(self._settings.allowance * 1000),
        )

    def _release(self, partitions: Iterable[JoinPartition]) -> None:
        for partition in partitions:
            self._recorder.release(partition)

    def _report(self, partitions: Sequence[JoinPartition], turn: Turn) -> None:
        for one in partitions:
            lag = [turn.end(self.topics[kind], one.number) - one.next_offset(kind) for kind in _KINDS]
            self._recorder.report(one, lag, turn.wall / 1000)
