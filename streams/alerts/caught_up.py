"""When time may pass for problems: once all that was on its way a moment ago has come. Pure."""

import math
from collections.abc import Iterable

from tracelink.kafka.topics import PartitionId

# An input under load is at its end again and again, and hardly ever when it is looked at.
LATELY = 5000.0
"""Milliseconds for which an input counts as read to its end after it was."""


class CaughtUp:
    """Knows since when a worker has caught up with its inputs; times are monotonic, in milliseconds.

    What is not read yet of the errored traces is on its way; and of others' share of these nothing is known here, but
    that after a start or a rebalance they catch up as this worker does: so it counts only after `quiet_after`.
    """

    def __init__(self, quiet_after: float) -> None:
        self._quiet_after = quiet_after
        # When each was last known to be at its end: infinity while it is.
        self._ended: dict[PartitionId, float] = {}
        self._since: float | None = None

    def read(self, partition: PartitionId, now: float) -> None:
        """Note that more has come of a partition."""
        if self._ended.get(partition) == math.inf:
            self._ended[partition] = now

    def end(self, partition: PartitionId) -> None:
        """Note that a partition is at its end."""
        self._ended[partition] = math.inf

    def holds(self, partitions: Iterable[PartitionId], now: float) -> bool:
        """Tell whether all of these partitions have been caught up with for long enough."""
        if not all(self._ended.get(partition, -math.inf) > now - LATELY for partition in partitions):
            return False
        self._since = self._since or now
        return now - self._since >= self._quiet_after
