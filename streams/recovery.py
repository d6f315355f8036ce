"""What a worker reads when it gets partitions: the committed offsets, and the journal from where they say."""

import logging
from collections.abc import Callable, Iterable
from threading import Event
from typing import Any

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


class Recovery:
    """Reads committed offsets and journals; `report` is told what it waits for."""

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
        report: Callable[[str], None],
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
        self._report("waiting for the committed offsets")
        numbers = list(numbers)
        asked = [TopicPartition(topic, number) for topic in self._inputs for number in numbers]
        found = {(one.topic, one.partition): one for one in self._retrying(self._fetch, asked)}
        first = self._edges([where for where in asked if found[where.topic, where.partition].offset < 0], _EARLIEST)
        committed = {}
        for number in numbers:
            spans, logs = (found[topic, number] for topic in self._inputs)
            positions = [one.offset if one.offset >= 0 else first[one.topic, number] for one in (spans, logs)]
            committed[number] = Committed.read((positions[0], positions[1]), spans.metadata)
        return committed

    def _fetch(self, asked: list[TopicPartition]) -> list[TopicPartition]:
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
        if not starts:
            return ledgers
        reader = self._reader
        try:
            reader.assign(
                [
                    TopicPartition(self._journal, number, OFFSET_BEGINNING if start is None else start)
                    for number, start in starts.items()
                ]
            )
            unread = set(starts)
            while unread:
                self._report(f"reading the journal of partitions {sorted(unread)}")
                if self._stopping.is_set():
                    raise Stopped
                messages = reader.consume(1000, timeout=0.1)
                reached(Point.JOIN_RECOVERING)
                for message in messages:
                    number, offset = message.partition(), message.offset()
                    error, value = message.error(), message.value()
                    if number is None or offset is None:
                        continue
                    if error is None and value is not None:
                        ledgers[number].learn(offset, Entry.decode(value))
                    elif error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - its name
                        raise KafkaException(error)
                    elif offset >= ends[number]:
                        unread.discard(number)
        finally:
            reader.unassign()
        return ledgers

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
