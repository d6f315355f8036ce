"""A steady load: traces at an even rate for some seconds, published as services publish.

usage: python -m benchmarks.pacing BROKERS PREFIX RECORDS_PER_SECOND SECONDS
"""

import sys
import time

from confluent_kafka import Producer

from benchmarks.traffic import Shape, stream
from tracelink.kafka import PARTITIONER
from tracelink.topics import TopicNames

_STEP = 0.01
_GAP = 100


def main(brokers: str, prefix: str, rate: int, seconds: int) -> None:
    """Publish at that rate, and say how many are published."""
    names = TopicNames(prefix)
    producer = Producer(
        {
            "bootstrap.servers": brokers,
            "partitioner": PARTITIONER,
            "compression.type": "lz4",
            "linger.ms": 20,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    shape = Shape()
    traces = rate * seconds // (shape.spans + shape.logs) + 1
    a_step = max(1, round(rate * _STEP))
    started = time.monotonic()
    for published, (is_span, key, value) in enumerate(stream(shape.templates(), traces, _GAP)):
        if published % a_step == 0:
            producer.poll(0)
            time.sleep(max(0.0, started + published / rate - time.monotonic()))
            print(published, flush=True)  # noqa: T201 - its answer
        producer.produce(names.spans if is_span else names.logs, value, key)
    if producer.flush(30):
        sys.exit("Kafka did not take the load.")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
