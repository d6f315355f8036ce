"""Copies the records of a plan to a job's topics, exactly once, even if it is interrupted.

Each transaction holds copies, and the offsets up to which the inputs are copied. The transaction that reaches the end
of a partition also holds its end marker. So the group's offsets show where to resume.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event
from typing import cast

from confluent_kafka import KafkaException, Message, TopicPartition

from pipeline.failpoints import Failpoint, hit
from pipeline.kafka.offsets import GroupOffset, OffsetRange, group_offsets
from pipeline.kafka.reader import Reader
from pipeline.kafka.transactions import Aborted, Dated, Transactions, transactional_producer
from pipeline.model.replay_markers import ORIGIN, end_headers
from streams.replay.plan import Plan
from streams.worker.sessions import Stopped
from tracelink.errors import UserError
from tracelink.kafka.client import Properties
from tracelink.kafka.topics import PartitionId, TopicNames
from tracelink.settings import KafkaSettings

_log = logging.getLogger(__name__)

_COMMIT_EVERY = 1.0
_FIRST_SLICE = 2_000
_SLICES_A_SECOND = 5
_MOST_ABORTS = 5


@dataclass(frozen=True, slots=True)
class Copied:
    """The progress of a copy: messages read and their total, records copied, and the bytes of their values."""

    read: int
    total: int
    records: int
    size: int


@dataclass(slots=True)
class _Done:
    """The progress of a partition's copy."""

    offset: int
    records: int = 0
    size: int = 0
    ended: bool = False

    def metadata(self) -> str:
        return f"{self.records},{self.size}"


class Copier:
    """Copies the selected records of the inputs; fences other copiers of the same job."""

    def __init__(
        self,
        settings: KafkaSettings,
        job: str,
        plan: Plan,
        *,
        rate: float | None = None,
        stopping: Event | None = None,
        on_progress: Callable[[Copied], None] = lambda _: None,
    ) -> None:
        """`rate` is the most messages to read per second; `on_progress` is called at least once a second."""
        live = TopicNames(settings.topic_prefix)
        names = live.of_job(job)
        self._settings = settings
        self._plan = plan
        self._group = names.job_group("copy")
        self._targets = {live.spans: names.spans, live.logs: names.logs, live.unlinked_logs: names.unlinked_logs}
        self._end_headers = end_headers(plan.complete_until)
        self._rate = rate
        self._stopping = stopping or Event()
        self._on_progress = on_progress
        self._offset_ranges = plan.offset_ranges()
        self._total = sum(offset_range.end - offset_range.start for offset_range in self._offset_ranges.values())
        self._done: dict[PartitionId, _Done] = {}

    def run(self) -> Copied:
        """Copy the remaining records; raises Stopped if `stopping` is set before the end."""
        aborts = 0
        while True:
            transactions = Transactions(_properties(self._settings, self._group), self._stopping)
            try:
                transactions.start()  # from here on, no earlier copier has a transaction open
                self._copy(transactions)
                return self._copied()
            except Aborted as why:
                aborts += 1
                if self._stopping.is_set():
                    raise Stopped from why
                if aborts == _MOST_ABORTS:
                    raise UserError(f"Kafka does not accept the copies: {why}.") from why
                _log.warning("transaction aborted, resuming after the last committed one: %s", why)
            except KafkaException as error:
                if self._stopping.is_set():
                    raise Stopped from error
                cause = transactions.cause(error)
                again = "Another process copies this job" if "fenced" in cause.str().lower() else cause.str()
                raise UserError(f"{again}; this one has ended, and its committed copies are kept.") from error

    def _copy(self, transactions: Transactions) -> None:
        self._done = {
            one: _begin(self._offset_ranges[one], found)
            for one, found in group_offsets(self._settings, self._group, self._offset_ranges).items()
        }
        left = {one: OffsetRange(done.offset, self._offset_ranges[one].end) for one, done in self._done.items()}
        with Reader(self._settings, self._group, left, defaults=self._fetching()) as reader:
            started, read = time.monotonic(), 0
            due = started + _COMMIT_EVERY
            self._on_progress(self._copied())
            while reader.unread:
                for partition, messages in reader.poll():
                    for some in self._slices(messages):
                        self._send(transactions, partition, some)
                        read += len(some)
                        due = self._keep_to_rate(transactions, reader, started, read, due)
                for partition, offset in reader.positions.items():
                    self._done[partition].offset = offset
                due = self._keep_to_rate(transactions, reader, started, read, due)
            self._commit(transactions, reader)

    def _slices(self, messages: list[Message]) -> list[list[Message]]:
        size = _FIRST_SLICE if self._rate is None else max(1, round(self._rate / _SLICES_A_SECOND))
        return [messages[at : at + size] for at in range(0, len(messages), size)]

    def _send(self, transactions: Transactions, partition: PartitionId, messages: list[Message]) -> None:
        done = self._done[partition]
        selected = self._plan.choose(partition, messages)
        copies = [_copy_of(message) for message in selected]
        transactions.send_dated(self._targets[partition[0]], partition[1], copies)
        transactions.poll()
        done.offset = (messages[-1].offset() or 0) + 1
        done.records += len(selected)
        done.size += sum([len(value) for _, value, _, _ in copies if value is not None])

    def _keep_to_rate(self, transactions: Transactions, reader: Reader, started: float, read: int, due: float) -> float:
        """Wait while the rate is exceeded; returns the time of the next commit."""
        while True:
            if self._stopping.is_set():
                self._commit(transactions, reader)
                raise Stopped
            now = time.monotonic()
            if now >= due:
                due = self._commit(transactions, reader)
            ahead = 0.0 if self._rate is None else read / self._rate - (now - started)
            if ahead <= 0:
                return due
            self._stopping.wait(min(ahead, due - now))

    def _commit(self, transactions: Transactions, reader: Reader) -> float:
        """Commit the copies and their offsets; returns the time of the next commit."""
        hit(Failpoint.REPLAY_SENT)
        for (topic, number), done in self._done.items():
            if done.offset >= self._offset_ranges[topic, number].end and not done.ended:
                done.ended = True
                transactions.send(self._targets[topic], None, None, self._end_headers, partition=number)
        transactions.flush()
        transactions.commit(
            [TopicPartition(*one, done.offset, metadata=done.metadata()) for one, done in self._done.items()],
            reader.member(),
        )
        hit(Failpoint.REPLAY_COMMITTED)
        self._on_progress(self._copied())
        return time.monotonic() + _COMMIT_EVERY

    def _copied(self) -> Copied:
        return Copied(
            sum(done.offset - self._offset_ranges[one].start for one, done in self._done.items()),
            self._total,
            sum(done.records for done in self._done.values()),
            sum(done.size for done in self._done.values()),
        )

    def _fetching(self) -> Properties:
        # A burst of prefetched messages would exceed the rate.
        slow = {} if self._rate is None else {"queued.min.messages": max(1, round(self._rate / _SLICES_A_SECOND))}
        return {"fetch.queue.backoff.ms": 20, "receive.message.max.bytes": 1_500_000_000, **slow}


def fence(settings: KafkaSettings, job: str, stopping: Event) -> None:
    """Fence any process that copies a job; raises KafkaException."""
    Transactions(
        _properties(settings, TopicNames(settings.topic_prefix).of_job(job).job_group("copy")), stopping
    ).start()


def _properties(settings: KafkaSettings, group: str) -> Properties:
    return transactional_producer(
        settings,
        group,
        timeout=60,
        defaults={
            "batch.size": 1_000_000,
            "queue.buffering.max.messages": 500_000,
            "queue.buffering.max.kbytes": 256 * 1024,
        },
    )


def progress_of(offset_ranges: Mapping[PartitionId, OffsetRange], offsets: Mapping[PartitionId, GroupOffset]) -> Copied:
    """Return the progress of a copy from its group's committed offsets."""
    done = {one: _begin(offset_ranges[one], offset) for one, offset in offsets.items()}
    return Copied(
        sum(one.offset - offset_ranges[where].start for where, one in done.items()),
        sum(offset_range.end - offset_range.start for offset_range in offset_ranges.values()),
        sum(one.records for one in done.values()),
        sum(one.size for one in done.values()),
    )


def _begin(offset_range: OffsetRange, found: GroupOffset) -> _Done:
    """Return the committed progress of a partition's copy."""
    if found.offset < 0:
        return _Done(offset_range.start)
    records, _, size = (found.metadata or "").partition(",")
    ended = found.offset >= offset_range.end
    return _Done(found.offset, int(records or 0), int(size or 0), ended)


def _copy_of(message: Message) -> Dated:
    """Return the copy of a message: unchanged, with its offset in an additional header."""
    headers: list[tuple[str, str | bytes | None]] = [(ORIGIN, b"%d" % (message.offset() or 0))]
    if own := message.headers():
        headers += cast("list[tuple[str, bytes | None]]", own)
    return message.key(), message.value(), message.timestamp()[1], headers
