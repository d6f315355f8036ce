"""The uncommitted output of the alerts worker."""

import time
from collections import Counter
from collections.abc import Mapping

from confluent_kafka import Message

from pipeline.kafka.transactions import JournalRecord
from pipeline.model import dead_letters
from pipeline.model.problems import ALERT, OCCURRENCE, PROBLEM, Alert, Occurrence
from streams.alerts.fingerprint import SUCCESSOR_HEADER, VERSION, VERSION_HEADER
from streams.alerts.metrics import AlertMetrics
from streams.alerts.occurrence import Located
from streams.alerts.problems import Changes
from streams.worker.handler import Outgoing
from tracelink.errors import InvalidRecord
from tracelink.kafka.topics import TopicNames

_VERSION = ((VERSION_HEADER, str(VERSION).encode()),)


class Outbox:
    """The messages of one transaction, and the problem states that it writes, with their partitions."""

    def __init__(self, names: TopicNames) -> None:
        self._names = names
        self._messages: list[Outgoing] = []
        self._sent = 0
        self._located = 0
        self.passed_on = 0
        self._alerts: list[Alert] = []
        self.dead_letters = Counter[str]()
        self.states: list[JournalRecord] = []

    def locate(self, located: Located) -> None:
        """Send an occurrence to the topic `errors`: the worker that has its problem reads it from there.

        If its fingerprint of the version before is another one, it goes under that one, with the current one in a
        header: only the worker that has the former problem knows if that is known. A worker of the version before
        counts it there.
        """
        occurrence, former = located
        if former is None:
            self._send(occurrence)
        else:
            self._send({**occurrence, "fingerprint": former}, [(SUCCESSOR_HEADER, occurrence["fingerprint"].encode())])
        self._located += 1

    def pass_on(self, occurrence: Occurrence) -> None:
        """Send an occurrence that was located before to the worker that has its problem."""
        self._send(occurrence)
        self.passed_on += 1

    def _send(self, occurrence: Occurrence, headers: list[tuple[str, bytes]] | None = None) -> None:
        key = occurrence["fingerprint"].encode()
        self._messages.append(Outgoing(self._names.errors, key, OCCURRENCE.encode(occurrence), headers))

    def dead_letter(self, message: Message, error: InvalidRecord) -> None:
        """Send an invalid message to the dead letters."""
        headers = dead_letters.headers(error, dead_letters.Origin.of(message), sink="alerts")
        self._messages.append(Outgoing(self._names.dead_letters, message.key(), message.value(), headers))
        self.dead_letters[error.reason] += 1

    def change(self, changes: Mapping[int, Changes]) -> None:
        """Write the states of problems, and send their alerts."""
        for number, of in changes.items():
            for fingerprint, problem in of.states():
                state = None if problem is None else PROBLEM.encode(problem)
                headers = () if fingerprint in of.former else _VERSION
                self.states.append(JournalRecord(number, fingerprint.encode(), state, headers))
            for alert in of.alerts:
                key = alert["problem"]["fingerprint"].encode()
                self._messages.append(Outgoing(self._names.alerts, key, ALERT.encode(alert)))
            self._alerts += of.alerts

    def unsent(self) -> list[Outgoing]:
        """Return the messages that the open transaction does not have yet."""
        sent, self._sent = self._sent, len(self._messages)
        return self._messages[sent:]

    def aborted(self) -> None:
        """Mark all messages as unsent."""
        self._sent = 0

    def count(self, metrics: AlertMetrics) -> None:
        """Count the committed output."""
        now = time.time()
        metrics.located.inc(self._located)
        for reason, count in self.dead_letters.items():
            metrics.dead_letters.labels(reason).inc(count)
        for alert in self._alerts:
            metrics.alerts.labels(alert["event"]).inc()
            if alert["event"] != "RESOLVED":
                metrics.delay_seconds.observe(max(0.0, now - alert["time"] / 1000))
