"""The extents of traces beyond an edge of a time range.

Pure: no I/O and no clock. Times are distances from the edge in milliseconds, outward: those of records in the range
are negative or zero.
"""

from collections.abc import Iterable


class TraceExtents:
    """Follows the traces of a range outward, each up to a pause longer than `gap`.

    `beyond` has the distance of the outermost record of each trace that continues outside the range.
    """

    def __init__(self, gap: int) -> None:
        self._gap = gap
        self._reach: dict[bytes, int] = {}
        self.beyond: dict[bytes, int] = {}

    def __contains__(self, key: object) -> bool:
        return key in self._reach

    def inside(self, records: Iterable[tuple[int, bytes]]) -> None:
        """Add records of the range, as (distance, trace), in any order."""
        reach = self._reach
        for distance, key in records:
            known = reach.get(key)
            if known is None or distance > known:
                reach[key] = distance

    def outside(self, records: Iterable[tuple[int, bytes]]) -> None:
        """Follow the traces through all records beyond the edge, in the order of their distances."""
        reach, gap = self._reach, self._gap
        for distance, key in records:
            known = reach.get(key)
            if known is not None and distance - known <= gap:
                # Brokers' clocks can step back, so keep the greater distance.
                reach[key] = self.beyond[key] = max(known, distance)

    def go_on(self, distance: int) -> bool:
        """Return True if a record at this distance or farther may belong to one of the traces."""
        return any(distance - reach <= self._gap for reach in self._reach.values())

    def reaching(self, distance: int) -> set[bytes]:
        """Return the traces to which a record at this distance would belong."""
        return {key for key, reach in self._reach.items() if distance - reach <= self._gap}
