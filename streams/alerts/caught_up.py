"""Decides if a worker has caught up with its inputs, so that silence means that problems are resolved. Pure."""

import math
from collections.abc import Iterable

from tracelink.kafka.topics import PartitionId

# An input under load reaches its end often, but only for a short time.
LATELY = 5000.0
"""Milliseconds for which an input counts as read to its end after it was there."""


class CaughtUp:
    """Knows since when a worker has caught up with its inputs; times are monotonic, in milliseconds.

    Errored traces that are not read yet may still become occurrences, also those in other workers' partitions. This
    worker cannot see these, but after a start or a rebalance the others catch up at about the same time. So it waits
    for `quiet_after` as well.
    """

    def __init__(self, quiet_after: float) -> None:
        self._quiet_after = quiet_after
        # The time at which each input was last at its end: infinity while it is.
        self._ended: dict[PartitionId, float] = {}
        self._since: float | None = None

    def read(self, partition: PartitionId, now: float) -> None:
        """Note that a partition had more messages."""
        if self._ended.get(partition) == math.inf:
            self._ended[partition] = now

    def end(self, partition: PartitionId) -> None:
        """Note that a partition is at its end."""
        self._ended[partition] = math.inf

    def holds(self, partitions: Iterable[PartitionId], now: float) -> bool:
        """Return True if the worker has been at the end of all these partitions for `quiet_after`."""
        if not all(self._ended.get(partition, -math.inf) > now - LATELY for partition in partitions):
            return False
        self._since = self._since or now
        return now - self._since >= self._quiet_after
