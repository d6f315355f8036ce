"""What a replay would copy, counted without copying it."""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.kafka.reader import Reader
from streams.replay.plan import Plan
from tracelink.settings import KafkaSettings

# What a copier does on two cores, beside its broker: see docs/performance.md.
_COPIES_A_SECOND = 200_000


@dataclass(slots=True)
class Count:
    """Records, traces, the bytes of the records' values, and the messages that are read to find them."""

    records: int = 0
    traces: int = 0
    size: int = 0
    read: int = 0

    def seconds(self, rate: float | None) -> float:
        """Return how long the copy would take at most so many messages a second."""
        return self.read / min(rate or _COPIES_A_SECOND, _COPIES_A_SECOND)


def count(settings: KafkaSettings, plan: Plan, tell: Callable[[int, int], None]) -> Count:
    """Count what a plan chooses, one partition after the other; `tell` gets the messages read, of how many."""
    stretches = plan.stretches()
    total = sum(stretch.end - stretch.start for stretch in stretches.values())
    found = Count()
    for number in sorted({number for _, number in stretches}):
        mine = {one: stretch for one, stretch in stretches.items() if one[1] == number}
        keys: set[bytes | None] = set()
        with Reader(settings, f"{settings.topic_prefix}replay.trial", mine) as reader:
            while reader.unread:
                for partition, messages in reader.poll():
                    found.read += len(messages)
                    chosen = plan.choose(partition, messages)
                    found.records += len(chosen)
                    found.size += sum(len(one.value() or b"") for one in chosen)
                    if partition[0] != plan.unlinked:
                        keys.update(one.key() for one in chosen if one.key())
                tell(found.read, total)
        found.traces += len(keys)
    return found
