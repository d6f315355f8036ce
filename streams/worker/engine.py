"""The transactional worker: a member of its group that commits what it makes with the offsets it was made of."""

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

# Few enough to stay in the processor's caches from the fetch to the window: with ten times as many a record costs more.
_BATCH = 1_000
_POLL = 0.05
# After a transaction that was undone: what failed it may do so again.
_PAUSE = 1.0
_NO_PARTITIONS = "waiting for partitions"


class TransactionalWorker:
    """Runs a handler on the partitions that the group gives to this worker, until it is told to stop.

    One transaction holds what the handler has made, the records of its journal and the offsets of its inputs. `run`
    blocks and belongs into a thread of its own; `stop` and `not_ready` may be called from any.
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
        # Where partitions that came during a fetch begin.
        self._came: Mapping[PartitionId, int] | None = None
        # On its way out after an error: what the handler holds may be half made, and is not committed.
        self._failing = False
        # What went wrong while partitions came or went: raised within the client's callback, it would be lost there.
        self._failure: Exception | None = None
        # As which member, of which generation, the partitions were given. Asked for at a commit, it could be that of a
        # member that the group has expelled and that was not told yet, which an empty group does not fence.
        self._membership: Any = None
        # As which members this process was in the group, for it to know another process by.
        self._member_ids: set[str] = set()
        self._commits = 0
        self._consumer: Consumer
        self._transactions: Transactions
        self._restore: RestoreReader
        self._turn: Turn

    def stop(self) -> None:
        """Ask the loop to end: it commits what is due and leaves the rest to the next worker."""
        self._stopping.set()

    def not_ready(self) -> str | None:
        """Return why this worker does not work now, or None."""
        return self.watchdog.not_ready() or self._waiting_for

    def run(self) -> None:
        """Work until told to stop; raises where the worker cannot go on."""
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
        """Tell whether the group has another member of this worker's name; none, where its coordinator cannot tell."""
        try:
            return self._clients.has_rival(self._member_ids, self._stopping)
        except (KafkaException, UserError) as error:
            _log.warning("cannot ask who has this worker's name: %s", error)
            return False

    def _run_session(self) -> None:
        """Be a member of the group, from joining it to leaving it."""
        handler = self._handler
        try:
            consumer = self._consumer = self._clients.consumer()
            self._transactions = self._clients.transactions(self._stopping)
        except KafkaException as error:  # properties that are right one by one and not together
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
                consumer.close()  # where it ends in good order, the last commit happens in here
            finally:
                # Whatever was not committed belongs to this membership: the next one makes it again.
                handler.release(committed=False)
        self._raise_failure()

    def _loop(self) -> None:
        handler, turn = self._handler, self._turn
        next_commit = 0.0
        while not self._stopping.is_set():
            messages = self._consumer.consume(_BATCH, timeout=_POLL)
            self._raise_failure()
            if self._came is not None:
                # What was read while partitions came may be of the assignment before.
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
        """Hand what goes out to the producer, which sends it while the loop reads on; raises Aborted."""
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
        _log.warning("transaction aborted, what it held goes out in the next: %s", why)
        self._handler.transactions.labels("aborted").inc()
        self._handler.settle(committed=False)

    # Partitions coming and going; called by the consumer, in the loop's thread

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
        self._consumer.resume(assigned)  # librdkafka remembers a pause from an assignment before

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
            _log.warning("cannot commit before the partitions leave: %s", error)
            self._forget()
        else:
            self._handler.release(committed=True)

    def _lost(self, partitions: Sequence[PartitionId]) -> None:
        numbers = sorted({number for _, number in partitions})
        _log.warning("lost partitions %s: dropping what was not committed", numbers)
        self._waiting_for, self._came = _NO_PARTITIONS, None
        self._forget()

    def _forget(self) -> None:
        """Undo what is not committed, and drop everything: the partitions' next owners make it again."""
        try:
            self._transactions.abandon()
        finally:
            self._handler.release(committed=False)

    # Telling how it goes

    def _retrying(self) -> Retrying:
        """Ask the brokers until they answer, or the worker is told to stop: then their last error is raised."""
        return Retrying(
            retry=retry_if_exception(may_pass),
            wait=wait_random_exponential(multiplier=0.1, max=1),
            stop=stop_when_event_set(self._stopping),
            before=self._note_attempt,
            reraise=True,
        )

    def _note_attempt(self, _: RetryCallState) -> None:
        # Answers fail for as long as a transaction is open on the offsets: somebody else's, and no fault of ours.
        self._note_wait("waiting for the committed offsets", {}, excused=True)

    def _note_wait(self, reason: str, done: Mapping[PartitionId, int], *, excused: bool = False) -> None:
        self._waiting_for = reason
        self.watchdog.report(self._clock(), done, excused=excused)
