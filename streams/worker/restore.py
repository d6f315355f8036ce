"""The committed offsets and the journal, which a worker reads after an assignment."""

from collections.abc import Callable, Collection, Iterator, Mapping
from threading import Event

from confluent_kafka import Consumer, Message

from pipeline.failpoints import Failpoint, hit
from pipeline.kafka.offsets import GroupOffset, OffsetRange, Retry
from streams.worker.clients import Clients
from streams.worker.sessions import Stopped
from tracelink.kafka.topics import PartitionId

OnRestored = Callable[[str, Mapping[PartitionId, int]], None]
"""Takes the reason why the worker is not ready yet, and the offset up to which each journal partition is read."""


class RestoreReader:
    """Reads what was committed before an assignment; raises Stopped soon after `stopping` is set."""

    def __init__(  # noqa: PLR0917 - as the worker has them
        self, member: Consumer, clients: Clients, retry: Retry, topic: str, stopping: Event, report: OnRestored
    ) -> None:
        """`topic` is the journal."""
        self._member = member
        self._clients, self._lookup, self._topic = clients, clients.lookup(retry), topic
        self._stopping, self._report = stopping, report

    def committed(self, partitions: Collection[PartitionId]) -> dict[PartitionId, GroupOffset]:
        """Return the group's next offsets in these inputs; waits for open transactions on them."""
        return self._lookup.next(self._member, partitions) if partitions else {}

    def journal(self, starts: Mapping[int, int]) -> Iterator[Message]:
        """Yield the journal's committed messages from these offsets, by partition, up to its current end.

        Waits for open transactions: they may commit.
        """
        begins = {(self._topic, number): offset for number, offset in starts.items()}
        ends = self._lookup.ends(begins, committed=False)
        with self._clients.reader({one: OffsetRange(begin, ends[one]) for one, begin in begins.items()}) as reader:
            while reader.unread:
                hit(Failpoint.WORKER_RESTORING)
                numbers = sorted(number for _, number in reader.unread)
                self._report(
                    f"reading {self._topic} of partitions {numbers}",
                    {one: reader.positions[one] for one in reader.unread},
                )
                if self._stopping.is_set():
                    raise Stopped
                for _, messages in reader.poll(0.1):
                    yield from messages
