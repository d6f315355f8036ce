"""The loop between the topics and the agents: errored traces in, problems and alerts out, each exactly once.

One transaction a turn holds what was made of the messages read in it, and their offsets. Counts alone are not worth
one: they are written once a second, with the offsets up to which they go. Partitions come and go only between two
turns. The newest state of each problem is all that is kept of it: who gets a partition reads the states of its problems
before anything else, and whatever was counted since they were written is read again.
"""

import logging
import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import faust
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition
from prometheus_client import CollectorRegistry

from pipeline.failpoints import Point, reached
from pipeline.kafka.admin import connect
from pipeline.kafka.transactions import Aborted, Transactions
from pipeline.model import dead_letters
from pipeline.model.problems import ALERT, OCCURRENCE, PROBLEM, Occurrence, Origin, Problem
from pipeline.runtime.watchdog import Progress
from streams.alerts.agents import Agents, Arrived, Grouped, Observe
from streams.alerts.metrics import AlertMetrics
from streams.alerts.problems import Changes, Limits
from streams.alerts.rule import Rule
from streams.alerts.rules import RulesFile
from streams.alerts.settings import AlertSettings
from streams.worker.clients import consumer_properties, producer_properties, reader_properties
from streams.worker.offsets import Offsets, Where
from streams.worker.rereading import read_again
from streams.worker.sessions import retention_has_passed, run_sessions
from tracelink.errors import InvalidRecord, UserError
from tracelink.kafka.client import client_log, wrong_property
from tracelink.kafka.errors import PASSING
from tracelink.kafka.topics import TopicNames

_log = logging.getLogger(__name__)

_BATCH = 500
_POLL = 0.05
_LOOK_EVERY = 1.0
_PAUSE = 1.0
# An input under load is at its end again and again, and hardly ever when it is looked at.
_LATELY = 5.0


@dataclass(slots=True)
class _Work:
    """What a turn has made."""

    occurrences: list[Occurrence] = field(default_factory=list)
    """Of errored traces: they come back by the topic of errors, in the partition of their problem."""
    changes: Mapping[int, Changes] = field(default_factory=dict)
    """Of the problems of each partition, made of such occurrences."""
    letters: list[tuple[Message, InvalidRecord]] = field(default_factory=list)


class AlertWorker:
    """Groups the errors of the partitions that the group gives to this worker, until it is told to stop.

    `attach` comes first. `run` blocks and belongs into a thread of its own; `stop` and `not_ready` may be called from
    any.
    """

    def __init__(self, settings: AlertSettings, registry: CollectorRegistry) -> None:
        if settings.known_for < settings.quiet_after:
            raise UserError(
                f"TRACELINK_KNOWN_FOR (--known-for) is {settings.known_for:g} s: it must be at least "
                f"TRACELINK_QUIET_AFTER (--quiet-after), which is {settings.quiet_after:g} s."
            )
        self._settings = settings
        self._names = TopicNames(settings.topic_prefix)
        self._redactor = settings.redactor()
        self._rules = RulesFile(settings.rules_file)
        self._metrics = AlertMetrics(registry)
        self.progress = Progress(settings.stuck_after)
        self._stopping = Event()
        self._waiting_for: str | None = "waiting for partitions"
        # The offset to go on from of each partition that this worker has, and up to where it has committed.
        self._positions: dict[Where, int] = {}
        self._committed: dict[Where, int] = {}
        # Partitions whose problems are written as they are, and what is counted in those of others.
        self._settled: frozenset[int] = frozenset()
        self._counted: Counter[int] = Counter()
        # When each was last known to be at its end: infinity while it is.
        self._ended: dict[Where, float] = {}
        # Since when this worker has caught up with all that it was given.
        self._caught_up: float | None = None
        self._failure: Exception | None = None
        self._assigned_now = False
        self._membership: Any = None
        self._next_look = 0.0
        self._agents: Agents
        self._consumer: Consumer
        self._transactions: Transactions
        self._offsets: Offsets
        self._reader: Consumer

    def attach(self, app: faust.App) -> None:
        """Give the app the agents that do the work."""
        self._agents = Agents(
            app,
            self._stopping,
            fields=lambda: self._rules.rules.fingerprint,
            redact=self._redactor.redact,
            match=self._match,
            limits=Limits(
                known_for=round(self._settings.known_for * 1000),
                quiet_after=round(self._settings.quiet_after * 1000),
                most=self._settings.max_problems,
            ),
        )

    def stop(self) -> None:
        """Ask the loop to end, with its turn committed or undone."""
        self._stopping.set()

    def not_ready(self) -> str | None:
        """Return why this worker does not group errors now, or None."""
        return self.progress.not_ready() or self._waiting_for

    def run(self) -> None:
        """Group errors until `stop` is called; raises where the worker cannot go on."""
        settings = self._settings
        run_sessions(self._run_session, self._cause, settings, settings.alerts_group, self._stopping)

    def _match(self, origin: Origin, fingerprint: str) -> Rule:
        return self._rules.rules.match(origin, fingerprint)

    def _cause(self, error: KafkaException) -> KafkaError:
        return self._transactions.cause(error)

    def _run_session(self) -> None:
        """Be a member of the group, from joining it to leaving it."""
        settings, group = self._settings, self._settings.alerts_group
        try:
            self._consumer = Consumer(consumer_properties(settings, group), logger=client_log(__name__))
            self._reader = Consumer(reader_properties(settings, group), logger=client_log(__name__))
            self._transactions = Transactions(producer_properties(settings, group), self._stopping)
        except KafkaException as error:  # properties that are right one by one and not together
            raise UserError(wrong_property(error.args[0])) from None
        try:
            self._transactions.start()
            self._offsets = Offsets(self._consumer, connect(settings), self._stopping)
            self._consumer.subscribe(
                [self._names.error_traces, self._names.errors],
                on_assign=self._assigned,
                on_revoke=self._gone,
                on_lost=self._gone,
            )
            while not self._stopping.is_set():
                messages = self._consumer.consume(_BATCH, timeout=_POLL)
                self._turn(self._begin() if self._assigned_now else messages)
        except Aborted as why:
            # The partitions may be others' by now, and what was made of them is in memory only. So all is dropped, and
            # the group joined anew: its offsets and the problems' states tell what was committed.
            _log.warning("transaction aborted, joining the group anew: %s", why)
            self._metrics.transactions.labels("aborted").inc()
            self._stopping.wait(_PAUSE)
        finally:
            self._waiting_for = "waiting for partitions"
            # What a transaction holds that was not committed is undone by the next one of this name, or its time-out.
            self._consumer.close()
            self._reader.close()
            self._positions, self._committed = {}, {}

    def _begin(self) -> list[Message]:
        """Begin an assignment where it was given; returns the messages to begin with.

        These are none: among those that were read while the partitions came may be some of the assignment before, and
        what had been counted before them is not known any more.
        """
        self._assigned_now = False
        self._consumer.assign([TopicPartition(*where, offset) for where, offset in self._positions.items()])
        return []

    # A turn

    def _turn(self, messages: list[Message]) -> None:
        """Commit what is made of some messages, and of the time that has passed."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        work = self._process(messages)
        moved = self._moved(work)
        if moved:
            reached(Point.ALERTS_GROUPED)
            self._commit(work, [TopicPartition(*where, offset) for where, offset in moved.items()])
            reached(Point.ALERTS_COMMITTED)
            self._committed |= moved
            self._count(work)
        self.progress.report(time.monotonic(), self._committed)

    def _moved(self, work: _Work) -> dict[Where, int]:
        """Return the offsets to commit: what was counted and is not written is to be read again after a crash.

        A partition's is among them, moved or not, where anything of it is written: a transaction without the offset
        is not fenced, and the partition may be another worker's by now.
        """
        return {
            (topic, number): offset
            for (topic, number), offset in self._positions.items()
            if (number in work.changes or offset != self._committed[topic, number])
            and (topic != self._names.errors or number in self._settled)
        }

    def _process(self, messages: list[Message]) -> _Work:
        errored, errors = self._sort(messages)
        if errored or errors:
            reached(Point.ALERTS_POLLED)
        work = _Work()
        located = self._agents.locate([message.value() or b"" for message in errored]) if errored else []
        for message, found in zip(errored, located, strict=True):
            if isinstance(found, InvalidRecord):
                work.letters.append((message, found))
            else:
                work.occurrences.append(found)
        arrived = []
        for message in errors:
            try:
                occurrence = OCCURRENCE.decode(message.value() or b"")
                arrived.append(Arrived(message.partition() or 0, message.timestamp()[1], occurrence))
            except InvalidRecord as error:
                work.letters.append((message, error))
        self._counted.update(one.number for one in arrived)
        looks = time.monotonic() >= self._next_look
        if looks:
            self._look()
        # A dead letter goes out with its offset, and so does what was counted before it.
        due = looks or len(arrived) < len(errors)
        if arrived or due:
            ended = self._quiet_ones() if looks else []
            grouped = self._agents.group(Observe(arrived, ended, round((time.time() - _LATELY) * 1000), due))
            work.changes = grouped.changes
            self._note(grouped)
        return work

    def _sort(self, messages: Iterable[Message]) -> tuple[list[Message], list[Message]]:
        """Tell errored traces and occurrences apart, and note how far they are read."""
        errored: list[Message] = []
        errors: list[Message] = []
        for message in messages:
            where = (message.topic() or "", message.partition() or 0)
            error, offset = message.error(), message.offset() or 0
            if where not in self._positions:  # of an assignment that has ended
                continue
            if error is None:
                self._positions[where] = offset + 1
                if self._ended.get(where) == math.inf:
                    self._ended[where] = time.monotonic()
                (errored if where[0] == self._names.error_traces else errors).append(message)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - confluent-kafka's name for it
                self._positions[where] = offset
                self._ended[where] = math.inf
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 - as above
                # Of the others nothing is lost, and what is read again is counted again.
                only = f"--topic {where[0]}:{where[1]}"
                raise retention_has_passed(*where, error, self._settings.alerts_group, topics=only)
            elif error.code() in PASSING:
                _log.warning("Kafka: %s", error.str())
            else:
                raise KafkaException(error)
        return errored, errors

    def _quiet_ones(self) -> list[int]:
        """Return the partitions of errors for which time passes: all that was on its way a moment ago has come.

        What is not read yet of the errored traces is on its way; and of others' share of these nothing is known here,
        but that after a start or a rebalance they catch up as this worker does.
        """
        now = time.monotonic()
        if not all(self._ended.get(where, -math.inf) > now - _LATELY for where in self._positions):
            return []
        self._caught_up = self._caught_up or now
        if now - self._caught_up < self._settings.quiet_after:
            return []
        return [number for topic, number in self._positions if topic == self._names.errors]

    def _look(self) -> None:
        """Look at the rules, and show how far behind this worker is."""
        self._next_look = time.monotonic() + _LOOK_EVERY
        self._rules.refresh()
        self._metrics.rules_valid.set(self._rules.error is None)
        for topic, number in self._positions:
            _, end = self._consumer.get_watermark_offsets(TopicPartition(topic, number), cached=True)
            behind = end - self._positions[topic, number]
            self._metrics.lag.labels(topic, str(number)).set(max(0, behind))

    def _commit(self, work: _Work, moved: list[TopicPartition]) -> None:
        """Write a turn's outcome with its offsets; raises Aborted where it was undone."""
        self._send(work)
        self._transactions.flush()
        self._transactions.commit(moved, self._membership)
        self._metrics.transactions.labels("committed").inc()

    def _send(self, work: _Work) -> None:
        names, send = self._names, self._transactions.send
        for found in work.occurrences:
            send(names.errors, found["fingerprint"].encode(), OCCURRENCE.encode(found))
        for number, changes in work.changes.items():
            for fingerprint, problem in changes.states():
                value = None if problem is None else PROBLEM.encode(problem)
                send(names.problems, fingerprint.encode(), value, partition=number)
            for alert in changes.alerts:
                send(names.alerts, alert["problem"]["fingerprint"].encode(), ALERT.encode(alert))
        for message, error in work.letters:
            origin = dead_letters.Origin(
                message.topic() or "", message.partition() or 0, message.offset() or 0, message.timestamp()[1]
            )
            send(names.dead_letters, message.key(), message.value(), dead_letters.headers(error, origin, sink="alerts"))

    def _count(self, work: _Work) -> None:
        metrics, now = self._metrics, time.time()
        metrics.located.inc(len(work.occurrences))
        for number in self._settled & self._counted.keys():
            metrics.counted.inc(self._counted.pop(number))
        for _, error in work.letters:
            metrics.dead_letters.labels(error.reason).inc()
        for changes in work.changes.values():
            for alert in changes.alerts:
                metrics.alerts.labels(alert["event"]).inc()
                if alert["event"] != "RESOLVED":
                    metrics.delay_seconds.observe(max(0.0, now - alert["time"] / 1000))

    def _note(self, grouped: Grouped) -> None:
        self._settled = grouped.settled
        self._metrics.firing.set(grouped.firing)
        self._metrics.known.set(grouped.known)

    # Partitions coming and going; called by the consumer, in the loop's thread

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            self._membership = consumer.consumer_group_metadata()
            reached(Point.ALERTS_ASSIGNING)
            wheres = [(one.topic, one.partition) for one in partitions]
            unread = dict.fromkeys(wheres, -1)
            # In this order: what a predecessor's last transaction has written is there once its offsets are settled.
            committed = self._offsets.committed(wheres, lambda: self._wait("waiting for committed offsets", unread))
            numbers = [number for topic, number in wheres if topic == self._names.errors]
            self._note(self._agents.restore(self._restored(numbers)))
            self._counted.clear()
            self._positions = {where: one.offset for where, one in committed.items()}
            self._committed = dict(self._positions)
            self._ended.clear()
            self._caught_up = None
            consumer.assign([TopicPartition(*where, offset) for where, offset in self._positions.items()])
            self._assigned_now = True
            self._waiting_for = None if wheres else "waiting for partitions"
            _log.info("grouping the errors of partitions %s", sorted({number for _, number in wheres}))
        except Exception as error:  # noqa: BLE001 - it would be lost on its way through the client
            self._failure = error

    def _restored(self, numbers: list[int]) -> dict[int, list[Problem]]:
        """Read the newest states of these partitions' problems."""
        reached(Point.ALERTS_RESTORING)
        ends = self._offsets.ends((self._names.problems, number) for number in numbers)
        starts = {where: OFFSET_BEGINNING for where, end in ends.items() if end}
        newest: dict[int, dict[bytes, bytes | None]] = {number: {} for number in numbers}

        def tell(still: Mapping[Where, int]) -> None:
            self._waiting_for = f"reading the problems of partitions {sorted(number for _, number in still)}"
            self.progress.report(time.monotonic(), still)

        for message in read_again(self._reader, starts, ends, self._stopping, tell):
            newest[message.partition() or 0][message.key() or b""] = message.value()
        return {number: list(_decoded(of)) for number, of in newest.items()}

    def _gone(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """Let everything go: what was counted and not written yet is read again by whoever gets the partition."""
        self._waiting_for = "waiting for partitions"
        for one in partitions:
            self._committed.pop((one.topic, one.partition), None)
            if self._positions.pop((one.topic, one.partition), None) is not None:
                with suppress(KeyError):  # it was not shown yet
                    self._metrics.lag.remove(one.topic, str(one.partition))

    def _wait(self, reason: str, unread: Mapping[Where, int]) -> None:
        self._waiting_for = reason
        self.progress.report(time.monotonic(), unread, excused=True)


def _decoded(states: Mapping[bytes, bytes | None]) -> Iterator[Problem]:
    """Yield the problems; one that was forgotten has no state."""
    for key, value in states.items():
        if value:
            try:
                yield PROBLEM.decode(value)
            except InvalidRecord as error:
                _log.warning("the problem %r cannot be read, and begins anew: %s", key, error)
