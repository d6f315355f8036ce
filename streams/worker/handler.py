"""The protocol of a worker's handler: it turns input messages into output, and says what to commit."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from confluent_kafka import Consumer, TopicPartition
from prometheus_client import Counter

from pipeline.kafka.transactions import JournalRecord
from pipeline.model.dead_letters import Headers
from streams.worker.restore import RestoreReader
from tracelink.kafka.topics import PartitionId


class Outgoing(NamedTuple):
    """A message for the open transaction. Partition -1 means the partition of its key."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers | None = None
    partition: int = -1


class Due(NamedTuple):
    """The commit of a transaction: journal records, and input offsets, whose metadata may name those records."""

    records: Sequence[JournalRecord]
    offsets: Callable[[Mapping[int, Sequence[int]]], list[TopicPartition]]
    """Takes the offsets of the written records by partition of the journal, in the order of `records`."""


class Turn:
    """One iteration of the worker's loop: its times, and access to the inputs.

    `now` is monotonic time, `wall` the time of day, in milliseconds.
    """

    __slots__ = ("_consumer", "now", "wall")

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self.now = 0.0
        self.wall = 0

    def end(self, topic: str, number: int) -> int:
        """Return the end offset of an input, as of the last fetch."""
        _, end = self._consumer.get_watermark_offsets(TopicPartition(topic, number), cached=True)
        return int(end)

    def pause(self, topic: str, number: int) -> None:
        """Stop fetching an input; librdkafka drops its prefetched messages."""
        self._consumer.pause([TopicPartition(topic, number)])

    def resume(self, topic: str, number: int) -> None:
        """Resume fetching an input."""
        self._consumer.resume([TopicPartition(topic, number)])


class Handler(Protocol):
    """The logic of one worker, called from one thread.

    It holds the state of the partitions that the group has assigned to the worker. When the worker loses a partition,
    the next owner repeats all work that was not committed.
    """

    group: str
    topics: Sequence[str]
    """The inputs; one worker gets the same partition of all of them."""
    journal: str
    """The topic from which the handler learns, after an assignment, which output is already committed."""
    commit_interval: float
    """The least number of seconds between transactions."""
    transactions: Counter
    """Counts transactions by their outcome: committed, aborted."""

    def assign(self, partitions: Sequence[PartitionId], restore: RestoreReader) -> Mapping[PartitionId, int]:
        """Take these partitions in place of all others; return the offsets from which to read them."""

    def receive(self, topic: str, number: int, messages: Sequence[Any], turn: Turn) -> None:
        """Take in messages of one partition, in their order; ignore a partition that is not assigned any more."""

    def reach_end(self, topic: str, number: int, offset: int) -> None:
        """Note that a fetch has reached the end of a partition, at this offset."""

    def advance(self, turn: Turn) -> Iterable[Outgoing]:
        """Move on to the turn's time; yield the messages that the open transaction does not have yet."""

    def due(self) -> Due | None:
        """Return what to commit now; None only if `advance` has yielded nothing since the last commit."""

    def settle(self, *, committed: bool) -> None:
        """Note the outcome of the transaction; after an abort, `advance` yields its messages again."""

    def release(self, *, committed: bool) -> None:
        """Release all partitions; if the last commit succeeded, their state may be kept for the next assignment."""

    def progress(self) -> Mapping[PartitionId, int]:
        """Return the offset up to which each input is processed, without inputs that wait for something else."""
