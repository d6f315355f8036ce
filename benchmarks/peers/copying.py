"""The alternative to a replay: a loop that reads and sends again, without transactions, headers or edges.

usage: python -m benchmarks.peers.copying SERVERS PREFIX TOPIC…

Each topic is copied whole to PREFIX and its name. At the end it prints the number of copied records.
"""

import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, Producer, TopicPartition


def main(servers: str, prefix: str, topics: list[str]) -> None:
    """Copy the topics."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "bench.copying",
            "enable.partition.eof": True,
            "queued.min.messages": 50_000,
            "fetch.wait.max.ms": 100,
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "compression.type": "lz4",
            "linger.ms": 20,
            "batch.size": 1_000_000,
            "queue.buffering.max.messages": 500_000,
        }
    )
    unread = {(topic, number) for topic in topics for number in consumer.list_topics(topic).topics[topic].partitions}
    consumer.assign([TopicPartition(*place, OFFSET_BEGINNING) for place in unread])
    copied = 0
    while unread:
        for message in consumer.consume(2_000, 0.2):
            if message.error() is None:
                _send(producer, f"{prefix}{message.topic()}", message)
                copied += 1
            else:
                unread.discard((message.topic() or "", message.partition() or 0))
        producer.poll(0)
    producer.flush()
    print(copied, flush=True)  # noqa: T201 - its answer


def _send(producer: Producer, topic: str, message: Message) -> None:
    while True:
        try:
            producer.produce(
                topic, message.value(), message.key(), message.partition() or 0, timestamp=message.timestamp()[1]
            )
        except BufferError:
            producer.poll(0.1)
        else:
            return


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
