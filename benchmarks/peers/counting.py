"""The limit: a loop over confluent-kafka's consumer that counts messages and does nothing else.

usage: python -m benchmarks.peers.counting BROKERS RECORDS TOPIC… [PROPERTY=VALUE…]
"""

import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from benchmarks.peers.saying import Saying, rest

_BATCH = 10_000


def main(brokers: str, records: int, topics: list[str], properties: dict[str, str]) -> None:
    """Count up to `records`, and print the progress."""
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "bench-counting",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            **properties,
        }
    )
    known = consumer.list_topics(timeout=30).topics
    consumer.assign(
        [TopicPartition(topic, number, OFFSET_BEGINNING) for topic in topics for number in known[topic].partitions]
    )
    counted, saying = 0, Saying()
    while counted < records:
        counted += len(consumer.consume(_BATCH, 0.1))
        saying.say(counted, last=counted >= records)
    rest()


if __name__ == "__main__":
    _, servers, wanted, *more = sys.argv
    given = dict(one.split("=", 1) for one in more if "=" in one)
    main(servers, int(wanted), [one for one in more if "=" not in one], given)
