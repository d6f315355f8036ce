"""The transactional worker: a group member that commits its output and its input offsets in one transaction."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Event
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_when_event_set, wait_random_exponential

from pipeline.failpoints import Failpoint, hit
from pipeline.kafka.reader import runs
from pipeline.kafka.transactions import Aborted, Transactions
from pipeline.runtime.watchdog import Watchdog
from streams.worker.clients import Clients
from streams.worker.handler import Handler, Outgoing, Turn
from streams.worker.restore import RestoreReader
from streams.worker.sessions import retention_has_passed, run_sessions
from streams.worker.settings import WorkerSettings
from tracelink.errors import UserError
from tracelink.kafka.client import wrong_property
from tracelink.kafka.errors import Kind, classify, may_pass
from tracelink.kafka.topics import PartitionId

_log = logging.getLogger(__name__)

# Few enough to stay in the CPU caches from the fetch to the window: with ten times as many, each record costs more.
_BATCH = 1_000
_POLL = 0.05
# Seconds to wait after an aborted transaction: its cause may still be there.
_PAUSE = 1.0
_NO_PARTITIONS = "waiting for partitions"


class TransactionalWorker:
    """Runs a handler on the partitions that the group assigns to this worker.

    One transaction holds the handler's output, its journal records and its input offsets. `run` blocks until `stop` is
    called, so run it in a thread of its own. Any thread may call `stop` and `not_ready`.
    """

    def __init__(
        self,
        handler: Handler,
        settings: WorkerSettings,
        stopping: Event,
        *,
        clients: Clients | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.group = handler.group
        self.watchdog = Watchdog(settings.stuck_after)
        self._handler = handler
        self._settings = settings
        self._stopping = stopping
        self._clients = clients or Clients(settings, self.group)
        self._clock = clock
        self._waiting_for: str | None = _NO_PARTITIONS
        # Start offsets of partitions that were assigned during a fetch.
        self._came: Mapping[PartitionId, int] | None = None
        # The session ends because of an error: the handler's output may be incomplete, so do not commit it.
        self._failing = False
        # An exception from a rebalance callback: raised there, the client would drop it.
        self._failure: Exception | None = None
        # The member id and generation at the assignment. A commit must not ask for them: the group may have expelled
        # the member without its knowledge, and an empty group does not fence it.
        self._membership: Any = None
        # All member ids that this process had, to recognise those of other processes.
        self._member_ids: set[str] = set()
        self._commits = 0
        self._consumer: Consumer
        self._transactions: Transactions
        self._restore: RestoreReader
        self._turn: Turn

    def stop(self) -> None:
        """Ask the loop to end: it commits what is due, and leaves the rest to the next owner of its partitions."""
        self._stopping.set()

    def not_ready(self) -> str | None:
        """Return the reason why this worker is not ready, or None."""
        return self.watchdog.not_ready() or self._waiting_for

    def run(self) -> None:
        """Work until `stop` is called; raises UserError or KafkaException if the worker cannot continue."""
        run_sessions(
            self._run_session,
            self._settings,
            self.group,
            self._stopping,
            cause_of=self._cause,
            has_rival=self._has_rival,
            commits=lambda: self._commits,
        )

    def _cause(self, error: KafkaException) -> KafkaError:
        return self._transactions.cause(error)

    def _has_rival(self) -> bool:
        """Return True if the group has another member with this instance id; False if the lookup fails."""
        try:
            return self._clients.has_rival(self._member_ids, self._stopping)
        except (KafkaException, UserError) as error:
            _log.warning("cannot look up the members of the group: %s", error)
            return False

    def _run_session(self) -> None:
        """Run one membership of the group, from joining to leaving."""
        handler = self._handler
        try:
            consumer = self._consumer = self._clients.consumer()
            self._transactions = self._clients.transactions(self._stopping)
        except KafkaException as error:  # each property is valid, but not their combination
            raise UserError(wrong_property(error.args[0])) from None
        self._turn, self._came, self._failing, self._failure = Turn(consumer), None, False, None
        try:
            self._transactions.start()
            self._restore = RestoreReader(
                consumer, self._clients, self._retrying(), handler.journal, self._stopping, self._note_wait
            )
            consumer.subscribe(
                list(handler.topics),
                on_assign=self._callback(self._assigned),
                on_revoke=self._callback(self._revoked),
                on_lost=self._callback(self._lost),
            )
            self._loop()
        except BaseException:
            self._failing = True
            self._member_ids.add(consumer.memberid())
            raise
        finally:
            self._waiting_for = _NO_PARTITIONS
            try:
                consumer.close()  # without an error, `_revoked` makes the last commit in here
            finally:
                # The next membership repeats all work that was not committed.
                handler.release(committed=False)
        self._raise_failure()

    def _loop(self) -> None:
        handler, turn = self._handler, self._turn
        next_commit = 0.0
        while not self._stopping.is_set():
            messages = self._consumer.consume(_BATCH, timeout=_POLL)
            self._raise_failure()
            if self._came is not None:
                # Messages read during the rebalance may belong to the previous assignment.
                messages = []
                self._assign(self._came)
                self._came = None
            turn.now, turn.wall = self._clock() * 1000, time.time_ns() // 1_000_000
            if messages:
                hit(Failpoint.WORKER_POLLED)
            for topic, number, is_events, run in runs(messages):
                if is_events:
                    for event in run:
                        self._note_event(topic, number, event)
                else:
                    handler.receive(topic, number, run, turn)
            try:
                self._send(handler.advance(turn))
                if turn.now >= next_commit:
                    self.watchdog.alive(turn.now / 1000)
                    self._commit()
                    self.watchdog.report(turn.now / 1000, handler.progress())
                    next_commit = turn.now + handler.commit_interval * 1000
            except Aborted as why:
                self._note_abort(why)
                next_commit = turn.now + _PAUSE * 1000

    def _note_event(self, topic: str, number: int, message: Message) -> None:
        error = message.error()
        if error is None:
            return
        match classify(error):
            case Kind.END:
                self._handler.reach_end(topic, number, message.offset() or 0)
            case Kind.GONE:
                raise retention_has_passed(topic, number, error, self.group)
            case Kind.TRANSIENT:
                _log.warning("Kafka: %s", error.str())
            case Kind.FATAL:
                raise KafkaException(error)

    # Writing

    def _send(self, messages: Iterable[Outgoing]) -> None:
        """Give messages to the producer, which sends them in the background; raises Aborted."""
        send = self._transactions.send
        for topic, key, value, headers, partition in messages:
            send(topic, key, value, headers, partition=partition)
        self._transactions.poll()

    def _commit(self) -> None:
        """Commit one transaction, if anything is due; raises Aborted."""
        due = self._handler.due()
        if due is None:
            return
        hit(Failpoint.WORKER_BEFORE_JOURNAL)
        written = self._transactions.write_journal(self._handler.journal, due.records)
        hit(Failpoint.WORKER_PRODUCED)
        self._transactions.commit(due.offsets(written), self._membership)
        self._commits += 1
        hit(Failpoint.WORKER_COMMITTED)
        self._handler.transactions.labels("committed").inc()
        self._handler.settle(committed=True)

    def _note_abort(self, why: Exception) -> None:
        _log.warning("transaction aborted, its output goes into the next one: %s", why)
        self._handler.transactions.labels("aborted").inc()
        self._handler.settle(committed=False)

    # Rebalance callbacks; the consumer calls them in the loop's thread

    def _callback(
        self, act: Callable[[Sequence[PartitionId]], None]
    ) -> Callable[[Consumer, list[TopicPartition]], None]:
        def callback(_: Consumer, partitions: list[TopicPartition]) -> None:
            try:
                act([(one.topic, one.partition) for one in partitions])
            except Exception as error:  # noqa: BLE001 - the loop raises it
                self._failure = error

        return callback

    def _raise_failure(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _assigned(self, partitions: Sequence[PartitionId]) -> None:
        self._membership = self._consumer.consumer_group_metadata()
        self._member_ids.add(self._consumer.memberid())
        _log.info("assigned partitions %s", sorted({number for _, number in partitions}))
        hit(Failpoint.WORKER_ASSIGNING)
        self._came = self._handler.assign(partitions, self._restore)
        self._assign(self._came)
        self._waiting_for = None if partitions else _NO_PARTITIONS

    def _assign(self, positions: Mapping[PartitionId, int]) -> None:
        assigned = [TopicPartition(*partition, offset) for partition, offset in positions.items()]
        self._consumer.assign(assigned)
        self._consumer.resume(assigned)  # librdkafka keeps a pause from an earlier assignment

    def _revoked(self, _: Sequence[PartitionId]) -> None:
        self._waiting_for, self._came = _NO_PARTITIONS, None
        hit(Failpoint.WORKER_REVOKING)
        if self._failing:
            self._forget()
            return
        self._turn.now = self._clock() * 1000
        try:
            self._send(self._handler.advance(self._turn))
            self._commit()
        except Aborted as why:
            self._note_abort(why)
            self._forget()
        except KafkaException as error:
            _log.warning("cannot commit before the partitions are revoked: %s", error)
            self._forget()
        else:
            self._handler.release(committed=True)

    def _lost(self, partitions: Sequence[PartitionId]) -> None:
        numbers = sorted({number for _, number in partitions})
        _log.warning("lost partitions %s: dropping uncommitted work", numbers)
        self._waiting_for, self._came = _NO_PARTITIONS, None
        self._forget()

    def _forget(self) -> None:
        """Abort the open transaction and drop all state: the next owners of the partitions repeat the work."""
        try:
            self._transactions.abandon()
        finally:
            self._handler.release(committed=False)

    # Waiting, and reports to the watchdog

    def _retrying(self) -> Retrying:
        """Retry until the brokers answer; as soon as `stop` is called, raise their last error."""
        return Retrying(
            retry=retry_if_exception(may_pass),
            wait=wait_random_exponential(multiplier=0.1, max=1),
            stop=stop_when_event_set(self._stopping),
            before=self._note_attempt,
            reraise=True,
        )

    def _note_attempt(self, _: RetryCallState) -> None:
        # The lookup fails while another process has a transaction open on the offsets: not this worker's fault.
        self._note_wait("waiting for the committed offsets", {}, excused=True)

    def _note_wait(self, reason: str, done: Mapping[PartitionId, int], *, excused: bool = False) -> None:
        self._waiting_for = reason
        self.watchdog.report(self._clock(), done, excused=excused)
