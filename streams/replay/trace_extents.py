"""How far the traces that reach over an edge of a range go on beyond it.

Pure: no I/O and no clock. Times are distances from the edge in milliseconds, outward: those of records in the range
are negative, or zero.
"""

from collections.abc import Iterable


class TraceExtents:
    """Follows the traces of a range outward, each up to a gap longer than `gap`.

    `beyond` has the distance of the last record of each trace that goes on outside of the range.
    """

    def __init__(self, gap: int) -> None:
        self._gap = gap
        self._reach: dict[bytes, int] = {}
        self.beyond: dict[bytes, int] = {}

    def __contains__(self, key: object) -> bool:
        return key in self._reach

    def inside(self, records: Iterable[tuple[int, bytes]]) -> None:
        """Note records of the range, as (distance, trace), in any order."""
        reach = self._reach
        for distance, key in records:
            known = reach.get(key)
            if known is None or distance > known:
                reach[key] = distance

    def outside(self, records: Iterable[tuple[int, bytes]]) -> None:
        """Follow the traces through records beyond the edge: all that lie there, in the order of their distances."""
        reach, gap = self._reach, self._gap
        for distance, key in records:
            known = reach.get(key)
            if known is not None and distance - known <= gap:
                # Brokers' clocks do step back: no trace reaches less far for that.
                reach[key] = self.beyond[key] = max(known, distance)

    def go_on(self, distance: int) -> bool:
        """Tell whether a record at this distance or farther may still belong to one of the traces."""
        return any(distance - reach <= self._gap for reach in self._reach.values())

    def reaching(self, distance: int) -> set[bytes]:
        """Return the traces that reach this distance, or would if there were a record."""
        return {key for key, reach in self._reach.items() if distance - reach <= self._gap}
