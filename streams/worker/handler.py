"""What a worker's handler is: it makes something of the messages of its inputs, and says what is to be committed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from confluent_kafka import Consumer, TopicPartition
from prometheus_client import Counter

from pipeline.kafka.transactions import JournalRecord
from pipeline.model.dead_letters import Headers
from streams.worker.restore import RestoreReader
from tracelink.kafka.topics import PartitionId


class Outgoing(NamedTuple):
    """A message that goes out in the open transaction; to the partition of its key where none is named."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers | None = None
    partition: int = -1


class Due(NamedTuple):
    """What a transaction is to commit: records of the journal, and offsets, which may name where those records lie."""

    records: Sequence[JournalRecord]
    offsets: Callable[[Mapping[int, Sequence[int]]], list[TopicPartition]]
    """Takes the offsets of the records by the journal's partition, in the records' order."""


class Turn:
    """A turn of the worker's loop: its times, and what may be asked of the inputs.

    `now` is monotonic time, `wall` the time of day, in milliseconds.
    """

    __slots__ = ("_consumer", "now", "wall")

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self.now = 0.0
        self.wall = 0

    def end(self, topic: str, number: int) -> int:
        """Return the end of an input as the last fetch has shown it."""
        _, end = self._consumer.get_watermark_offsets(TopicPartition(topic, number), cached=True)
        return int(end)

    def pause(self, topic: str, number: int) -> None:
        """Fetch no more of an input; what was fetched ahead is thrown away."""
        self._consumer.pause([TopicPartition(topic, number)])

    def resume(self, topic: str, number: int) -> None:
        """Fetch an input again."""
        self._consumer.resume([TopicPartition(topic, number)])


class Handler(Protocol):
    """The work of one worker, called from one thread.

    It holds the state of the partitions that the group has given to the worker. Whatever was not committed of them when
    they leave is their next owner's to make again.
    """

    group: str
    topics: Sequence[str]
    """The inputs; equal numbers of them go to one worker."""
    journal: str
    """The topic from which it learns, after an assignment, what it and its predecessors have made."""
    commit_interval: float
    """Seconds between transactions, at least."""
    transactions: Counter
    """Counts transactions by their outcome: committed, aborted."""

    def assign(self, partitions: Sequence[PartitionId], restore: RestoreReader) -> Mapping[PartitionId, int]:
        """Take partitions, instead of all others; return the offsets from which they are to be read."""

    def receive(self, topic: str, number: int, messages: Sequence[Any], turn: Turn) -> None:
        """Take in messages of one partition in their order; those of an assignment that has ended are passed over."""

    def reach_end(self, topic: str, number: int, offset: int) -> None:
        """Note that a fetch has found the end of a partition, at this offset."""

    def advance(self, turn: Turn) -> Iterable[Outgoing]:
        """Let time pass; yield what goes out and is not in the open transaction yet."""

    def due(self) -> Due | None:
        """Return what a transaction is to commit now; None only where `advance` has yielded nothing since the last."""

    def settle(self, *, committed: bool) -> None:
        """Note what became of the transaction; what was in an aborted one is to go out again."""

    def release(self, *, committed: bool) -> None:
        """Let all partitions go; where all was committed that was due, they may come back and go on as they are."""

    def progress(self) -> Mapping[PartitionId, int]:
        """Return up to which offset the inputs are done that have something to go on with."""
