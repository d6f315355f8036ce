"""What a worker reads when it gets partitions: the committed offsets, and the journal from where they say."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
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
from streams.window import LOGS, SPANS

_TIMEOUT = 10.0
_log = logging.getLogger(__name__)


class Stopped(Exception):  # noqa: N818 - a word of the domain
    """The worker was told to stop while it recovered."""


@dataclass(frozen=True, slots=True)
class Committed:
    """What the group has committed for a partition.

    Offsets of spans and logs, None before the first, and the journal's offset from which it is to be read.
    """

    positions: tuple[int | None, int | None]
    journal: int | None


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
        self._reader_properties = reader_properties
        self._inputs = inputs
        self._journal = journal
        self._late_for = late_for
        self._stopping = stopping
        self._report = report

    def committed(self, numbers: Iterable[int]) -> dict[int, Committed]:
        """Fetch the committed offsets; waits for transactions that are still open on them."""
        self._report("waiting for the committed offsets")
        numbers = list(numbers)
        asked = [TopicPartition(topic, number) for topic in self._inputs for number in numbers]
        retrying = Retrying(
            retry=retry_if_exception(_may_pass),
            wait=wait_random_exponential(multiplier=0.1, max=1),
            stop=stop_when_event_set(self._stopping),
            reraise=True,
        )
        found = {(one.topic, one.partition): one for one in retrying(self._fetch, asked)}
        spans, logs = self._inputs
        return {number: _committed(found[spans, number], found[logs, number]) for number in numbers}

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
        ledgers = {number: Ledger(self._late_for) for number in committed}
        ends = self._ends(list(committed))
        starts = {number: one.journal for number, one in committed.items() if ends[number] > (one.journal or 0)}
        if not starts:
            return ledgers
        reader = Consumer(self._reader_properties, logger=_log)
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
                for message in reader.consume(1000, timeout=0.1):
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
            reader.close()
        return ledgers

    def _ends(self, numbers: list[int]) -> dict[int, int]:
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the client does not annotate it
        futures = self._admin.list_offsets(
            {TopicPartition(self._journal, number): latest for number in numbers},
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=_TIMEOUT,
        )
        return {where.partition: future.result().offset for where, future in futures.items()}


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, KafkaException) and (
        bool(error.args[0].retriable())
        or error.args[0].code() in {KafkaError.UNSTABLE_OFFSET_COMMIT, KafkaError._TIMED_OUT}  # noqa: SLF001 - its name
    )


def _committed(spans: TopicPartition, logs: TopicPartition) -> Committed:
    positions = tuple(one.offset if one.offset >= 0 else None for one in (spans, logs))
    text = spans.metadata or ""
    # Offsets that somebody has reset carry no journal offset: it is then read whole.
    return Committed((positions[SPANS], positions[LOGS]), int(text) if text.isdecimal() else None)
