"""What the join reads when it gets partitions: the committed offsets, and the journal from where they say."""

from collections.abc import Iterable, Mapping
from threading import Event
from typing import Any, Protocol

from confluent_kafka import OFFSET_BEGINNING, Consumer
from confluent_kafka.admin import AdminClient

from pipeline.failpoints import Point, reached
from streams.join.journal import Entry, Ledger
from streams.join.ownership import Committed
from streams.worker.offsets import Offsets, Where
from streams.worker.rereading import read_again
from tracelink.kafka.client import client_log


class Report(Protocol):
    """Takes how far recovery is."""

    def __call__(self, reason: str, done: Mapping[Where, int], *, excused: bool) -> None:
        """Note why the worker does not join yet, and the offset up to which each (topic, partition) is read.

        -1 stands for not known yet; `excused` says that it waits for somebody else.
        """


class Recovery:
    """Reads committed offsets and journals, and reports how far it is."""

    def __init__(
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
        self._offsets = Offsets(consumer, admin, stopping)
        # Made here and not where it is used: an error raised within a rebalance callback is lost on its way.
        self._reader = Consumer(reader_properties, logger=client_log(__name__))
        self._inputs = inputs
        self._journal = journal
        self._late_for = late_for
        self._stopping = stopping
        self._report = report

    def committed(self, numbers: Iterable[int]) -> dict[int, Committed]:
        """Fetch the committed offsets; waits for transactions that are still open on them."""
        numbers = list(numbers)
        asked = [(topic, number) for topic in self._inputs for number in numbers]
        unread = dict.fromkeys(asked, -1)
        found = self._offsets.committed(
            asked, lambda: self._report("waiting for the committed offsets", unread, excused=True)
        )
        spans, logs = self._inputs
        return {
            number: Committed.read(
                (found[spans, number].offset, found[logs, number].offset), found[spans, number].metadata
            )
            for number in numbers
        }

    def ledgers(self, committed: dict[int, Committed]) -> dict[int, Ledger]:
        """Read the journals of these partitions to their ends, as they were when this was called.

        What an open transaction sends out, if it commits, is thereby known.
        """
        ledgers = {number: Ledger(self._late_for, one.positions) for number, one in committed.items()}
        ends = self._offsets.ends((self._journal, number) for number in committed)
        starts = {
            (self._journal, number): OFFSET_BEGINNING if one.journal is None else one.journal
            for number, one in committed.items()
            if ends[self._journal, number] > (one.journal or 0)
        }
        for message in read_again(self._reader, starts, ends, self._stopping, self._tell):
            value = message.value()
            if value is not None:
                ledgers[message.partition() or 0].learn(message.offset() or 0, Entry.decode(value))
        return ledgers

    def close(self) -> None:
        """Let go of the connections."""
        self._reader.close()

    def _tell(self, unread: Mapping[Where, int]) -> None:
        reached(Point.JOIN_RECOVERING)
        numbers = sorted(number for _, number in unread)
        self._report(f"reading the journal of partitions {numbers}", unread, excused=False)
