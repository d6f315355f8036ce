"""What a worker reads when it gets partitions: the committed offsets, and the journal from where they say."""

import logging
from collections.abc import Iterable, Mapping
from threading import Event
from typing import Any, Protocol

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec
from tenacity import Retrying, retry_if_exception, stop_when_event_set, wait_random_exponential

from streams.journal import Entry, Ledger
from streams.ownership import Committed
from tracelink.kafka import PASSING, client_log
from tracelink.points import Point, reached

_TIMEOUT = 10.0
_EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # the client does not annotate it
_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # as above
_log = logging.getLogger(__name__)


class Stopped(Exception):  # noqa: N818 - a word of the domain
    """The worker was told to stop while it recovered."""


class Report(Protocol):
    """Takes how far recovery is."""

    def __call__(self, reason: str, done: Mapping[tuple[str, int], int], *, excused: bool) -> None:
        """Note why the worker does not join yet, and the offset up to which each (topic, partition) is read.

        -1 stands for not known yet; `excused` says that it waits for somebody else.
        """


class Recovery:
    """Reads committed offsets and journals, and reports how far it is."""

    def __init__(  # noqa: PLR0913 - the connections and the names that recovery needs
        self,
        *,
        consumer: Consumer,
        admin: AdminClient,
        reader_properties: dict[str, Any],
        inputs: tuple[str, str],
        journal: str,
        late_for: int,
        stopping: Event,
        report: Report,
    ) -> None:
        self._consumer = consumer
        self._admin = admin
        # Made here and not where it is used: an error raised within a rebalance callback is lost on its way.
        self._reader = Consumer(reader_properties, logger=client_log(__name__))
        self._inputs = inputs
        self._journal = journal
        self._late_for = late_for
        self._stopping = stopping
        self._report = report
        self._retrying = Retrying(
            retry=retry_if_exception(_may_pass),
            wait=wait_random_exponential(multiplier=0.1, max=1),
            stop=stop_when_event_set(stopping),
            reraise=True,
        )

    def committed(self, numbers: Iterable[int]) -> dict[int, Committed]:
        """Fetch the committed offsets; waits for transactions that are still open on them."""
        numbers = list(numbers)
        asked = [TopicPartition(topic, number) for topic in self._inputs for number in numbers]
        found = {(one.topic, one.partition): one for one in self._retrying(self._fetch, numbers, asked)}
        first = self._edges([where for where in asked if found[where.topic, where.partition].offset < 0], _EARLIEST)
        committed = {}
        for number in numbers:
            spans, logs = (found[topic, number] for topic in self._inputs)
            positions = [one.offset if one.offset >= 0 else first[one.topic, number] for one in (spans, logs)]
            committed[number] = Committed.read((positions[0], positions[1]), spans.metadata)
        return committed

    def _fetch(self, numbers: Iterable[int], asked: list[TopicPartition]) -> list[TopicPartition]:
        # Answers fail for as long as a transaction is open on the offsets: somebody else's, and no fault of ours.
        unread = {(topic, number): -1 for topic in self._inputs for number in numbers}
        self._report("waiting for the committed offsets", unread, excused=True)
        answers = self._consumer.committed(asked, timeout=_TIMEOUT)
        for one in answers:
            if one.error:
                raise KafkaException(one.error)
        return answers

    def ledgers(self, committed: dict[int, Committed]) -> dict[int, Ledger]:
        """Read the journals of these partitions to their ends, as they were when this was called.

        The ends are high watermarks: a transaction that is open below one is waited for, so that what it sends out,
        if it commits, is known.
        """
        ledgers = {number: Ledger(self._late_for, one.positions) for number, one in committed.items()}
        edges = self._edges([TopicPartition(self._journal, number) for number in committed], _LATEST)
        ends = {number: edges[self._journal, number] for number in committed}
        starts = {number: one.journal for number, one in committed.items() if ends[number] > (one.journal or 0)}
        if starts:
            self._reader.assign(
                [
                    TopicPartition(self._journal, number, OFFSET_BEGINNING if start is None else start)
                    for number, start in starts.items()
                ]
            )
            try:
                self._read(ledgers, {number: ends[number] for number in starts})
            finally:
                self._reader.unassign()
        return ledgers

    def _read(self, ledgers: dict[int, Ledger], ends: dict[int, int]) -> None:
        """Let the ledgers learn what the assigned journals hold up to these ends."""
        unread = set(ends)
        done = dict.fromkeys(((self._journal, number) for number in ends), -1)
        while unread:
            self._report(f"reading the journal of partitions {sorted(unread)}", done, excused=False)
            if self._stopping.is_set():
                raise Stopped
            messages = self._reader.consume(1000, timeout=0.1)
            reached(Point.JOIN_RECOVERING)
            for message in messages:
                number, offset = message.partition() or 0, message.offset() or 0
                error, value = message.error(), message.value()
                done[self._journal, number] = offset + (error is None)
                if error is None and value is not None:
                    ledgers[number].learn(offset, Entry.decode(value))
                elif error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - its name
                    raise KafkaException(error)
                elif offset >= ends[number]:
                    unread.discard(number)

    def close(self) -> None:
        """Let go of the connections."""
        self._reader.close()

    def _edges(self, partitions: list[TopicPartition], edge: OffsetSpec) -> dict[tuple[str, int], int]:
        """Return the first or the last offset of partitions, those of open transactions included."""

        def ask() -> dict[tuple[str, int], int]:
            for topic in {where.topic for where in partitions}:
                # Else a client that lives long asks with the leaders that it once knew.
                self._admin.list_topics(topic, timeout=_TIMEOUT)
            futures = self._admin.list_offsets(
                dict.fromkeys(partitions, edge),
                isolation_level=IsolationLevel.READ_UNCOMMITTED,
                request_timeout=_TIMEOUT,
            )
            return {(where.topic, where.partition): future.result().offset for where, future in futures.items()}

        return self._retrying(ask) if partitions else {}


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, KafkaException) and (bool(error.args[0].retriable()) or error.args[0].code() in PASSING)
