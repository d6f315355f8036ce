"""The estimate of a replay: counts the records that it would copy."""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.kafka.reader import Reader
from streams.replay.plan import Plan
from tracelink.settings import KafkaSettings

# Messages that a copier reads per second on two cores that it shares with the broker: see docs/performance.md.
_COPIES_A_SECOND = 200_000


@dataclass(slots=True)
class Estimate:
    """The numbers of records and traces, the bytes of the records' values, and the number of messages to read."""

    records: int = 0
    traces: int = 0
    size: int = 0
    read: int = 0

    def seconds(self, rate: float | None) -> float:
        """Return how long the copy would take; `rate` is the most messages per second."""
        return self.read / min(rate or _COPIES_A_SECOND, _COPIES_A_SECOND)


def estimate(settings: KafkaSettings, plan: Plan, on_progress: Callable[[int, int], None]) -> Estimate:
    """Count the records that a plan copies, by partition; `on_progress` gets the messages read and their total."""
    offset_ranges = plan.offset_ranges()
    total = sum(offset_range.end - offset_range.start for offset_range in offset_ranges.values())
    found = Estimate()
    for number in sorted({number for _, number in offset_ranges}):
        mine = {one: offset_range for one, offset_range in offset_ranges.items() if one[1] == number}
        keys: set[bytes | None] = set()
        with Reader(settings, f"{settings.topic_prefix}replay.trial", mine) as reader:
            while reader.unread:
                for partition, messages in reader.poll():
                    found.read += len(messages)
                    selected = plan.choose(partition, messages)
                    found.records += len(selected)
                    found.size += sum(len(one.value() or b"") for one in selected)
                    if partition[0] != plan.unlinked:
                        keys.update(one.key() for one in selected if one.key())
                on_progress(found.read, total)
        found.traces += len(keys)
    return found
