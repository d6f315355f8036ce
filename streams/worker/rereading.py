"""Reading again what a worker and its predecessors have written, to its end."""

from collections.abc import Callable, Iterator, Mapping
from threading import Event

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.worker.offsets import Where
from streams.worker.sessions import Stopped

Told = Callable[[Mapping[Where, int]], None]
"""Takes the partitions that are still being read, each with the offset up to which it is; -1 for not known yet."""


def read_again(
    reader: Consumer, starts: Mapping[Where, int], ends: Mapping[Where, int], stopping: Event, tell: Told
) -> Iterator[Message]:
    """Yield the committed messages of partitions, from where they start to where they end.

    The ends are high watermarks: a transaction that is open below one is waited for. Raises Stopped.
    """
    unread = dict.fromkeys(starts, -1)
    if not unread:
        return
    reader.assign([TopicPartition(*where, offset) for where, offset in starts.items()])
    try:
        while unread:
            tell(unread)
            if stopping.is_set():
                raise Stopped
            for message in reader.consume(1000, timeout=0.1):
                where, offset = (message.topic() or "", message.partition() or 0), message.offset() or 0
                error = message.error()
                if error is None:
                    if where in unread:
                        unread[where] = offset + 1
                    yield message
                    if offset + 1 >= ends[where]:
                        unread.pop(where, None)
                elif error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - confluent-kafka's name for it
                    raise KafkaException(error)
                elif offset >= ends[where]:
                    unread.pop(where, None)
    finally:
        reader.unassign()
