"""The join's loop: it drives librdkafka, and leaves every decision to the pure core."""

import logging
import time
from collections.abc import Iterable, Mapping
from itertools import groupby, repeat
from operator import is_not
from threading import Event
from typing import Any

import faust
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from prometheus_client import CollectorRegistry

from pipeline.failpoints import Point, reached
from pipeline.kafka.admin import connect
from pipeline.kafka.transactions import Aborted, Transactions
from pipeline.runtime.watchdog import Progress
from pipeline.settings import names_of
from streams.join.journal import Ledger
from streams.join.metrics import Books, JoinMetrics
from streams.join.ownership import Committed, Ownership
from streams.join.partition import Partition, Target
from streams.join.recovery import Recovery
from streams.join.replayed import ReplayedPartition
from streams.join.settings import JoinSettings
from streams.join.window import LOGS, SPANS, Limits
from streams.worker.clients import consumer_properties, producer_properties, reader_properties
from streams.worker.sessions import retention_has_passed, run_sessions
from tracelink.errors import UserError
from tracelink.kafka.client import client_log, wrong_property
from tracelink.kafka.errors import PASSING
from tracelink.kafka.topics import TopicNames

_log = logging.getLogger(__name__)

# Few enough to stay in the processor's caches from the fetch to the window: with ten times as many a record costs more.
_BATCH = 1_000
_POLL = 0.05
_REPORT_EVERY = 1.0
# An input that runs ahead of the other waits in memory up to here, then it is paused, until half of it is gone: a
# pause throws away what librdkafka has fetched, so it must not come and go.
_QUEUE_BYTES = 32 * 1024 * 1024


class Join:
    """Joins the partitions that the group gives to this worker, until it is told to stop, or a replay is through.

    `run` blocks and belongs into a thread of its own; `stop` and `not_ready` may be called from any.
    """

    def __init__(self, settings: JoinSettings, registry: CollectorRegistry) -> None:
        names, live = names_of(settings), TopicNames(settings.topic_prefix)
        self._settings = settings
        self._job = names.job
        self._inputs = (names.spans, names.logs)
        self._live_inputs = (live.spans, live.logs)
        self._targets = {
            Target.TRACES: names.traces,
            Target.ERROR_TRACES: (live if settings.replay_alerts else names).error_traces,
            Target.DEAD_LETTERS: names.dead_letters,
        }
        self._group = settings.group
        self._journal = names.journal(self._group)
        self._limits = Limits(
            idle_gap=round(settings.idle_gap * 1000),
            max_age=round(settings.max_age * 1000),
            root_grace=None if settings.root_grace is None else round(settings.root_grace * 1000),
            max_records=settings.max_trace_records,
            max_bytes=settings.max_trace_bytes,
            max_record_bytes=settings.max_record_bytes,
        )
        self._metrics = JoinMetrics(registry)
        self._books = Books(self._metrics)
        self.progress = Progress(settings.stuck_after)
        self._stopping = Event()
        self._parts = 0
        self._waiting_for: str | None = "waiting for partitions"
        self._ownership = Ownership(self._make_partition)
        # Inputs, as (partition, kind), that run too far ahead of the other.
        self._paused: set[tuple[int, int]] = set()
        self._consumer: Consumer
        # As which member, of which generation, the partitions were given. Asked for at a commit, it could be that of a
        # member that the group has expelled and that was not told yet, which an empty group does not fence.
        self._membership: Any = None
        self._transactions: Transactions
        self._recovery: Recovery | None = None

    def attach(self, app: faust.App) -> None:
        """Do nothing: no agent is fast enough for this volume."""

    def stop(self) -> None:
        """Ask the loop to end: it commits what has closed and leaves the rest to the next worker."""
        self._stopping.set()

    def not_ready(self) -> str | None:
        """Return why this worker does not join now, or None."""
        return self.progress.not_ready() or self._waiting_for

    def run(self) -> None:
        """Join until `stop` is called, or there is nothing more to come; raises where the worker cannot go on."""
        run_sessions(self._run_session, self._cause, self._settings, self._group, self._stopping)

    def _cause(self, error: KafkaException) -> KafkaError:
        return self._transactions.cause(error)

    def _run_session(self) -> None:
        """Be a member of the group, from joining it to leaving it."""
        settings = self._settings
        try:
            consumer = self._consumer = Consumer(
                consumer_properties(settings, self._group), logger=client_log(__name__)
            )
            self._transactions = Transactions(producer_properties(settings, self._group), self._stopping)
        except KafkaException as error:  # properties that are right one by one and not together
            raise UserError(wrong_property(error.args[0])) from None
        self._recovery = None
        try:
            self._transactions.start()
            self._recovery = Recovery(
                consumer=consumer,
                admin=connect(settings),
                reader_properties=reader_properties(settings, self._group),
                inputs=self._inputs,
                journal=self._journal,
                late_for=round(settings.late_for * 1000),
                stopping=self._stopping,
                report=self._note_recovery,
            )
            consumer.subscribe(
                list(self._inputs), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
            )
            self._loop()
        finally:
            self._waiting_for = "waiting for partitions"
            try:
                consumer.close()  # where it ends in good order, the last commit happens in here
            finally:
                # Whatever was not committed belongs to this membership: the next one reads it again.
                self._give_back(self._ownership.lose_all())
                if self._recovery is not None:
                    self._recovery.close()

    def _loop(self) -> None:
        settings = self._settings
        next_commit = next_report = 0.0
        while not self._stopping.is_set():
            messages = self._consumer.consume(_BATCH, timeout=_POLL)
            if messages:
                reached(Point.JOIN_POLLED)
            self._receive(messages)
            now = time.monotonic()
            for partition in self._ownership.partitions():
                partition.advance(now * 1000)
                self._balance(partition)
            self._relieve()
            reached(Point.JOIN_MID_WINDOW)
            try:
                self._send()
                if now >= next_commit:
                    self._commit()
                    self._note_progress(now)
                    self._stop_if_through()
                    next_commit = now + settings.commit_interval
            except Aborted as why:
                self._note_abort(why)
            if now >= next_report:
                self._report()
                next_report = now + _REPORT_EVERY

    # Reading

    def _receive(self, messages: list[Message]) -> None:
        now, wall = time.monotonic() * 1000, time.time_ns() // 1_000_000
        start = 0
        failed = map(is_not, map(Message.error, messages), repeat(None))
        origins = zip(map(Message.topic, messages), map(Message.partition, messages), failed, strict=True)
        for (topic, number, is_event), same in groupby(origins):
            end = start + len(list(same))
            # The client's types allow for messages without an offset, which only failed ones are.
            run: list[Any] = messages[start:end]
            start = end
            partition = self._ownership.get(number)
            kind = LOGS if topic == self._inputs[LOGS] else SPANS
            if is_event:
                for event in run:
                    self._note_event(partition, kind, event)
            elif partition is not None:  # else of an assignment that has ended
                partition.receive(kind, run, now, wall)

    def _note_event(self, partition: Partition | None, kind: int, message: Message) -> None:
        error = message.error()
        if error is None:
            return
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - confluent-kafka's name for it
            if partition is not None:
                partition.reach_end(kind, message.offset() or 0)
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 - as above
            raise retention_has_passed(message.topic(), message.partition(), error, self._group)
        elif error.code() in PASSING:
            _log.warning("Kafka: %s", error.str())
        else:
            raise KafkaException(error)

    def _balance(self, partition: Partition) -> None:
        """Pause an input that runs far ahead of the other, and let it go on once the other has come closer."""
        for kind in (SPANS, LOGS):
            queued = partition.queued(kind)
            if (partition.number, kind) in self._paused:
                if queued < _QUEUE_BYTES // 2:
                    self._consumer.resume([TopicPartition(self._inputs[kind], partition.number)])
                    self._paused.remove((partition.number, kind))
            elif queued > _QUEUE_BYTES:
                self._consumer.pause([TopicPartition(self._inputs[kind], partition.number)])
                self._paused.add((partition.number, kind))

    def _relieve(self) -> None:
        """Keep the open windows within `max_open_bytes`: the fullest partition's oldest parts go out early."""
        partitions = self._ownership.partitions()
        over = sum(partition.window.size for partition in partitions) - self._settings.max_open_bytes
        while over > 0:
            fullest = max(partitions, key=lambda one: one.window.size)
            before = fullest.window.size
            if not fullest.window.relieve():
                break
            fullest.collect()
            over -= before - fullest.window.size

    # Writing

    def _send(self) -> None:
        """Hand what has closed to the producer, which sends it while the loop reads on."""
        for message in self._ownership.unsent():
            topic = self._targets[message.target]
            self._transactions.send(topic, message.key, message.value, message.headers, partition=message.partition)
        self._transactions.poll()

    def _commit(self) -> None:
        """Commit one transaction for all partitions that have something new; raises Aborted."""
        due = self._ownership.due()
        if not due:
            return
        started = time.monotonic()
        reached(Point.JOIN_BEFORE_PRODUCE)
        self._send()
        offsets = self._transactions.write_journal(
            self._journal, [(number, entry.encode()) for number, share in due.items() for entry in share.entries]
        )
        reached(Point.JOIN_PRODUCED)
        written = self._ownership.written(due, offsets)
        self._transactions.commit(
            [where for number, one in written.items() for where in self._offsets(number, one.committing)],
            self._membership,
        )
        reached(Point.JOIN_COMMITTED)
        self._metrics.transactions.labels("committed").inc()
        self._metrics.transaction_seconds.observe(time.monotonic() - started)
        for number, gone_out in self._ownership.committed(written).items():
            self._books.commit(number, gone_out)
            self._parts += gone_out.parts.total()

    def _offsets(self, number: int, committed: Committed) -> Iterable[TopicPartition]:
        for topic, offset in zip(self._inputs, committed.positions, strict=True):
            yield TopicPartition(topic, number, offset, metadata=committed.metadata())

    def _stop_if_through(self) -> None:
        """Stop once nothing will ever come out of this worker's partitions any more, and all is committed."""
        partitions = self._ownership.partitions()
        if partitions and all(partition.through for partition in partitions):
            numbers = sorted(partition.number for partition in partitions)
            _log.info(
                "replay %s: through with partitions %s; %d parts of traces went out of this worker",
                self._job,
                numbers,
                self._parts,
            )
            self.stop()

    def _note_abort(self, why: Aborted) -> None:
        _log.warning("transaction aborted, its parts go out in the next: %s", why)
        self._metrics.transactions.labels("aborted").inc()
        self._ownership.aborted()

    # Partitions coming and going; called by the consumer, in the loop's thread

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        numbers = sorted({one.partition for one in partitions})
        if len(partitions) != len(self._inputs) * len(numbers):
            raise UserError(
                f"The group {self._group} was not given both inputs of each partition: {partitions}. "
                "All its members must run this version with the strategy `range`."
            )
        started = time.monotonic()
        self._membership = consumer.consumer_group_metadata()
        reached(Point.JOIN_ASSIGNING)
        recovery = self._recovery
        committed = recovery.committed(numbers) if recovery and numbers else {}
        unknown = self._ownership.unknown(committed)
        ledgers = recovery.ledgers(unknown) if recovery and unknown else {}
        self._give_back(self._ownership.assign(committed, ledgers))
        self._paused.clear()
        assigned = [
            TopicPartition(self._inputs[kind], partition.number, partition.next_offset(kind))
            for partition in self._ownership.partitions()
            for kind in (SPANS, LOGS)
        ]
        consumer.assign(assigned)
        consumer.resume(assigned)  # librdkafka remembers a pause from an assignment before
        self._metrics.recovery_seconds.observe(time.monotonic() - started)
        self._waiting_for = None if numbers else "waiting for partitions"
        _log.info("joining partitions %s, %d as they were left", numbers, len(numbers) - len(unknown))

    def _revoked(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._waiting_for = "waiting for partitions"
        reached(Point.JOIN_REVOKING)
        numbers = {one.partition for one in partitions}
        for partition in self._ownership.partitions():
            partition.advance(time.monotonic() * 1000)
        if self._try_last_commit():
            self._ownership.park(numbers)
        else:
            self._forget(numbers)

    def _try_last_commit(self) -> bool:
        try:
            self._commit()
        except Aborted as why:
            self._note_abort(why)
            return False
        except KafkaException as error:
            _log.warning("cannot commit before the partitions leave: %s", error)
            return False
        return True

    def _lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        _log.warning(
            "lost partitions %s: dropping what was not committed", sorted({one.partition for one in partitions})
        )
        self._waiting_for = "waiting for partitions"
        self._forget({one.partition for one in partitions})

    def _forget(self, numbers: set[int]) -> None:
        """Undo what is not committed, and drop everything of these partitions: their next owner reads it again."""
        try:
            self._transactions.abandon()
        finally:
            self._give_back(self._ownership.lose(numbers))

    def _make_partition(self, number: int, committed: Committed, ledger: Ledger) -> Partition:
        make = Partition if self._job is None else ReplayedPartition
        return make(
            number,
            topics=self._live_inputs,
            limits=self._limits,
            ledger=ledger,
            positions=committed.positions,
            times=committed.times,
            allowance=round(self._settings.allowance * 1000),
        )

    # Counting

    def _note_progress(self, now: float) -> None:
        """Note how far the inputs are taken, of those that have something to go on with.

        Called where nothing is left uncommitted of what has closed.
        """
        self.progress.report(
            now,
            {
                (self._inputs[kind], partition.number): partition.taken_until(kind)
                for partition in self._ownership.partitions()
                for kind in (SPANS, LOGS)
                if not partition.waits(kind)
            },
        )

    def _note_recovery(self, reason: str, done: Mapping[tuple[str, int], int], *, excused: bool) -> None:
        self._waiting_for = reason
        self.progress.report(time.monotonic(), done, excused=excused)

    def _give_back(self, partitions: Iterable[Partition]) -> None:
        for partition in partitions:
            self._books.give_back(partition)

    def _report(self) -> None:
        now = time.time()
        for partition in self._ownership.partitions():
            lag = [self._ends(partition.number, kind) - partition.next_offset(kind) for kind in (SPANS, LOGS)]
            self._books.report(partition, lag, now)

    def _ends(self, number: int, kind: int) -> int:
        """Return the end of an input as the last fetch has shown it."""
        _, end = self._consumer.get_watermark_offsets(TopicPartition(self._inputs[kind], number), cached=True)
        return int(end)
