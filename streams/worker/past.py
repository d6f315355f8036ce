"""What Kafka has of a worker's work before an assignment: the committed offsets, and its journal to the end."""

from collections.abc import Callable, Collection, Iterator, Mapping
from threading import Event

from confluent_kafka import Message

from pipeline.failpoints import Point, reached
from pipeline.kafka.offsets import Edges, GroupOffset, Stretch
from pipeline.kafka.reader import Reader
from streams.worker.sessions import Stopped
from tracelink.kafka.topics import Partition


class Past:
    """Reads what was done before an assignment; raises Stopped within a moment after `stopping` is set.

    `report` is told why the worker does not work yet, and the offset up to which each partition is read.
    """

    def __init__(
        self,
        group: str,
        topic: str,
        edges: Edges,
        read: Callable[[Mapping[Partition, Stretch]], Reader],
        *,
        stopping: Event,
        report: Callable[[str, Mapping[Partition, int]], None],
    ) -> None:
        """`topic` is that of the journal, `read` opens a reader of its ranges."""
        self._group, self._topic = group, topic
        self._edges = edges
        self._read = read
        self._stopping = stopping
        self._report = report

    def committed(self, partitions: Collection[Partition]) -> dict[Partition, GroupOffset]:
        """Return where the group goes on in these inputs; waits for transactions that are open on that."""
        return self._edges.next(self._group, partitions) if partitions else {}

    def journal(self, starts: Mapping[int, int]) -> Iterator[Message]:
        """Yield the journal's committed messages from these offsets on, by partition, to its end as it is now.

        What an open transaction sends out, if it commits, is thereby known: it is waited for.
        """
        begins = {(self._topic, number): offset for number, offset in starts.items()}
        ends = self._edges.ends(begins, committed=False)
        with self._read({one: Stretch(begin, ends[one]) for one, begin in begins.items()}) as reader:
            while reader.unread:
                reached(Point.WORKER_RESTORING)
                numbers = sorted(number for _, number in reader.unread)
                self._report(
                    f"reading {self._topic} of partitions {numbers}",
                    {one: reader.positions[one] for one in reader.unread},
                )
                if self._stopping.is_set():
                    raise Stopped
                for _, messages in reader.poll(0.1):
                    yield from messages
