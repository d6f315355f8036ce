"""The alerts as a worker's handler: errored traces in, problems and alerts out, each exactly once.

Changed counts alone do not start a transaction: they are written once a second, with their input offsets. Only the
newest state of each problem is stored, with the version of its fingerprint in a header. A new owner of a partition
first reads the states of its problems, and then reads all occurrences again that the states do not include.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from confluent_kafka import TopicPartition

from pipeline.failpoints import Failpoint, hit
from pipeline.kafka.compacted import Newest
from pipeline.model.problems import OCCURRENCE, PROBLEM, Problem
from streams.alerts.caught_up import LATELY, CaughtUp
from streams.alerts.fingerprint import VERSION, successor_of, version_of
from streams.alerts.grouping import Arrived, Grouper, Known
from streams.alerts.metrics import AlertMetrics
from streams.alerts.outbox import Outbox
from streams.alerts.rules import RulesFile
from streams.alerts.settings import AlertSettings
from streams.worker.handler import Due, Outgoing, Turn
from streams.worker.restore import RestoreReader
from tracelink.errors import InvalidRecord
from tracelink.kafka.topics import PartitionId, TopicNames

_log = logging.getLogger(__name__)

_LOOK_EVERY = 1000.0


class AlertGrouping:
    """Groups the errors of the assigned partitions; see Handler. Raises UserError for invalid settings or rules."""

    def __init__(self, settings: AlertSettings, metrics: AlertMetrics) -> None:
        names = self._names = TopicNames(settings.topic_prefix)
        self.group = settings.alerts_group
        self.topics: Sequence[str] = (names.error_traces, names.errors)
        self.journal = names.problems
        self.commit_interval = 0.0
        self.transactions = metrics.transactions
        self._metrics = metrics
        self._quiet_after = settings.quiet_after * 1000
        self._known_for = settings.known_for
        self._rules = RulesFile(settings.rules_file)
        self._grouper = Grouper(self._rules, settings.redactor().redact, settings.limits())
        self._next_look = 0.0
        self._begin({}, frozenset())

    def _begin(self, offsets: Mapping[PartitionId, int], numbers: frozenset[int]) -> None:
        """Begin at these offsets, without any output."""
        self._outbox = Outbox(self._names)
        self._arrived: list[Arrived] = []
        # The next offset of each assigned partition, and its committed offset.
        self._positions, self._committed = dict(offsets), dict(offsets)
        self._moved: dict[PartitionId, int] = {}
        # Partitions without unwritten changes; and occurrences that are counted but not committed, by partition.
        self._settled = numbers
        self._counted = Counter[int]()
        self._caught_up = CaughtUp(self._quiet_after)

    def assign(self, partitions: Sequence[PartitionId], restore: RestoreReader) -> dict[PartitionId, int]:
        """Take partitions, with the last written states of their problems."""
        # Offsets first: they wait for the previous owner's last transaction, so the journal then has its states.
        committed = restore.committed(partitions)
        newest = {number: Newest() for topic, number in partitions if topic == self._names.errors}
        versions: dict[bytes, int] = {}
        for message in restore.journal(dict.fromkeys(newest, 0)):
            key = message.key() or b""
            newest[message.partition() or 0].take(key, message.value())
            versions[key] = version_of(message.headers())
        known = {number: _known(states, versions) for number, states in newest.items()}
        if former := sum(len(of.former) for of in known.values()):
            _log.info(
                "fingerprints have version %d: %d problems are known under an earlier one; they are counted as before, "
                "and none of them is announced again until it is forgotten, %g s after its last occurrence",
                VERSION, former, self._known_for,
            )  # fmt: skip
        self._grouper.restore(known)
        self._begin({where: one.offset for where, one in committed.items()}, frozenset(newest))
        _log.info("grouping the errors of partitions %s", sorted({number for _, number in partitions}))
        return dict(self._positions)

    def receive(self, topic: str, number: int, messages: Sequence[Any], turn: Turn) -> None:
        """Take in errored traces, or occurrences."""
        where = (topic, number)
        if where not in self._positions:  # not assigned any more
            return
        self._positions[where] = messages[-1].offset() + 1
        self._caught_up.read(where, turn.now)
        for message in messages:
            try:
                if topic == self._names.errors:
                    occurrence = OCCURRENCE.decode(message.value() or b"")
                    successor = successor_of(message.headers())
                    self._arrived.append(Arrived(number, message.timestamp()[1], occurrence, successor))
                else:
                    self._outbox.locate(self._grouper.locate(message.value() or b""))
            except InvalidRecord as error:
                self._outbox.dead_letter(message, error)

    def reach_end(self, topic: str, number: int, offset: int) -> None:
        """Note the end of a partition."""
        if (topic, number) in self._positions:
            self._positions[topic, number] = offset
            self._caught_up.end((topic, number))

    def advance(self, turn: Turn) -> list[Outgoing]:
        """Group new occurrences, and move time on; return occurrences, alerts and dead letters."""
        ended: list[int] = []
        looks = turn.now >= self._next_look
        if looks:
            self._look(turn)
            if self._caught_up.holds(self._positions, turn.now):
                ended = [number for topic, number in self._positions if topic == self._names.errors]
        # A dead letter, or an occurrence that is passed on, is committed with its offset, and so are the counts before
        # it. After an abort, the old states are written with the newer ones.
        due = looks or bool(self._outbox.dead_letters or self._outbox.states or self._outbox.passed_on)
        if self._arrived or due:
            self._group(ended, round(turn.wall - LATELY), due=due)
        unsent = self._outbox.unsent()
        if unsent:
            hit(Failpoint.WORKER_ADVANCED)
        return unsent

    def due(self) -> Due | None:
        """Return the changed states and the offsets, except those of partitions with unwritten counts.

        If any state of a partition is written, its offset is included, even if it has not moved: Kafka does not fence
        a transaction without the offset, and another worker may have the partition by now.
        """
        changed = {record.partition for record in self._outbox.states}
        self._moved = {
            (topic, number): offset
            for (topic, number), offset in self._positions.items()
            if (number in changed or offset != self._committed[topic, number])
            and (topic != self._names.errors or number in self._settled)
        }
        if not self._moved:
            return None
        moved = [TopicPartition(*where, offset) for where, offset in self._moved.items()]
        return Due(self._outbox.states, lambda _: moved)

    def settle(self, *, committed: bool) -> None:
        """Count the committed output, or mark it as unsent after an abort."""
        if not committed:
            self._outbox.aborted()
            return
        self._committed |= self._moved
        self._outbox.count(self._metrics)
        self._outbox = Outbox(self._names)
        for number in self._settled & self._counted.keys():
            self._metrics.counted.inc(self._counted.pop(number))

    def release(self, *, committed: bool) -> None:  # noqa: ARG002 - unwritten counts are never committed
        """Release all partitions: their next owners read the occurrences of unwritten counts again."""
        self._metrics.lag.clear()
        self._grouper.restore({})
        self._begin({}, frozenset())

    def progress(self) -> dict[PartitionId, int]:
        """Return the committed offsets."""
        return self._committed

    def _group(self, ended: Sequence[int], now: int, *, due: bool) -> None:
        """Group new occurrences, and put the changes into the outbox."""
        arrived, self._arrived = self._arrived, []
        self._counted.update(one.number for one in arrived)
        grouped = self._grouper.group(arrived, ended, now, due=due)
        self._settled = grouped.settled
        for number, occurrence in grouped.passed_on:
            self._outbox.pass_on(occurrence)
            self._counted[number] -= 1
        self._metrics.firing.set(grouped.firing)
        self._metrics.known.set(grouped.known)
        self._outbox.change(grouped.changes)

    def _look(self, turn: Turn) -> None:
        """Read the rules file again if it has changed, and update the lag metrics."""
        self._next_look = turn.now + _LOOK_EVERY
        self._rules.refresh()
        self._metrics.rules_valid.set(self._rules.error is None)
        for (topic, number), position in self._positions.items():
            self._metrics.lag.labels(topic, str(number)).set(max(0, turn.end(topic, number) - position))


def _known(states: Mapping[bytes, bytes], versions: Mapping[bytes, int]) -> Known:
    former = {key: value for key, value in states.items() if versions[key] < VERSION}
    return Known(list(_decoded(states)), frozenset(key.decode(errors="replace") for key in former))


def _decoded(states: Mapping[bytes, bytes]) -> Iterator[Problem]:
    for key, value in states.items():
        try:
            yield PROBLEM.decode(value)
        except InvalidRecord as error:
            _log.warning("the state of problem %r is invalid, it starts from zero: %s", key, error)
