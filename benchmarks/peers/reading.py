"""The limit of a search: a bare loop that reads partitions to their ends and looks at each key.

usage: python -m benchmarks.peers.reading SERVERS TOPIC:PARTITION…

At the end it prints the number of records that it has read.
"""

import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition


def main(servers: str, places: list[str]) -> None:
    """Read the partitions."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "bench.reading",
            "enable.partition.eof": True,
            "queued.min.messages": 50_000,
            "fetch.wait.max.ms": 100,
        }
    )
    unread = {(topic, int(number)) for topic, _, number in (place.rpartition(":") for place in places)}
    consumer.assign([TopicPartition(*place, OFFSET_BEGINNING) for place in unread])
    read = 0
    while unread:
        messages = consumer.consume(2_000, 0.2)
        for message in [one for one in messages if one.error() is not None]:
            unread.discard((message.topic() or "", message.partition() or 0))
        keys = list(map(Message.key, messages))
        read += len(keys) - keys.count(None)
    print(read, flush=True)  # noqa: T201 - its answer


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
