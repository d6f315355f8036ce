"""A steady load: traces at an even rate for some seconds, published as services publish.

usage: python -m benchmarks.pacing BROKERS PREFIX RECORDS_PER_SECOND SECONDS SPANS LOGS
"""

import sys
import time

from confluent_kafka import Producer

from benchmarks.traffic import Shape, stream
from tracelink.kafka.client import PARTITIONER
from tracelink.kafka.topics import TopicNames

_STEP = 0.01
_GAP = 100


def command(kafka: str, prefix: str, rate: int, seconds: int, shape: Shape) -> list[str]:
    """Return the command line that publishes traces of this shape at `rate` records a second."""
    numbers = map(str, (rate, seconds, shape.spans, shape.logs))
    return [sys.executable, "-m", "benchmarks.pacing", kafka, prefix, *numbers]


def main(brokers: str, prefix: str, rate: int, seconds: int, shape: Shape) -> None:
    """Publish at this rate, and print the number of published records."""
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
    _brokers, _prefix, *_numbers = sys.argv[1:]
    _rate, _seconds, _spans, _logs = map(int, _numbers)
    main(_brokers, _prefix, _rate, _seconds, Shape(_spans, _logs))
