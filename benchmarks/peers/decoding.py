"""The limit: fastavro decoding traces from memory, and nothing else.

usage: python -m benchmarks.peers.decoding BROKERS TRACES TOPIC

It prints the number of decoded spans; the log lines among them are decoded, too.
"""

import sys
from io import BytesIO
from typing import cast

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from fastavro import schemaless_reader

from benchmarks.peers.saying import Saying, rest
from tracelink.model.codec import HEADER_BYTES, TRACE


def _read(brokers: str, traces: int, topic: str) -> list[bytes]:
    """Return the bodies of `traces` traces."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "bench-decoding", "enable.auto.commit": False})
    numbers = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in numbers])
    bodies: list[bytes] = []
    while len(bodies) < traces:
        messages = consumer.consume(1000, 1.0)
        bodies += [(message.value() or b"")[HEADER_BYTES:] for message in messages]
    consumer.close()
    return bodies[:traces]


def main(brokers: str, traces: int, topic: str) -> None:
    """Decode `traces` traces, and print the number of their spans."""
    bodies = _read(brokers, traces, topic)
    decoded, saying = 0, Saying()
    for body in bodies:
        trace = cast("dict[str, list[object]]", schemaless_reader(BytesIO(body), TRACE.schema, None))
        decoded += len(trace["spans"])
        saying.say(decoded)
    saying.say(decoded, last=True)
    rest()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
