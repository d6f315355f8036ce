"""What an independent client sees of a broker and of this machine."""

import time
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from tests.kit.waiting import wait_for

_PRESSURE = Path("/proc/pressure/cpu")
_ANSWER_SECONDS = 2.0
_START_SECONDS = 180.0


def coordinated(servers: str, group: str, topic: str) -> float:
    """Wait until the coordinators of transactions, and of a group on a topic, answer; return the time of day.

    Each attempt is a client of its own, which has no connection that it would wait to make again.
    """

    def group_answers() -> bool:
        consumer = Consumer(
            {"bootstrap.servers": servers, "group.id": group, "isolation.level": "read_uncommitted", "log_level": 0}
        )
        try:
            return not any(one.error for one in consumer.committed([TopicPartition(topic, 0)], _ANSWER_SECONDS))
        except KafkaException:
            return False
        finally:
            consumer.close()

    def transactions_answer() -> bool:
        producer = Producer({"bootstrap.servers": servers, "transactional.id": f"{group}.probe", "log_level": 0})
        try:
            producer.init_transactions(_ANSWER_SECONDS)
        except KafkaException:
            return False
        return True

    wait_for("the group's coordinator to answer", group_answers, seconds=_START_SECONDS)
    wait_for("a transaction coordinator to answer", transactions_answer, seconds=_START_SECONDS)
    return time.time()


def starved() -> float | None:
    """Return for how many seconds so far something has waited for a processor; None where nobody counts them."""
    if not _PRESSURE.exists():
        return None
    return int(_PRESSURE.read_text().partition("\n")[0].rpartition("total=")[2]) / 1e6
