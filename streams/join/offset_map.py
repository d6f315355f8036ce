"""The live offsets of replayed records: parts are named after them."""

from bisect import bisect_right

# Drop entries only if there are more than this.
_DROP_FROM = 1024


class OffsetMap:
    """Maps the offsets of one partition of a job's topic back to live offsets.

    The difference between the two is constant over a run of records without gaps, so it is stored once for each run.
    """

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._differences: list[int] = []

    def note(self, offset: int, live: int) -> None:
        """Add a record; its offset must be above all offsets added before."""
        difference = live - offset
        if not self._differences or self._differences[-1] != difference:
            self._firsts.append(offset)
            self._differences.append(difference)

    def live(self, offset: int) -> int:
        """Return the live offset of a record that was noted and not dropped."""
        return offset + self._differences[bisect_right(self._firsts, offset) - 1]

    def forget(self, below: int) -> None:
        """Drop entries that only records below this offset need."""
        passed = bisect_right(self._firsts, below) - 1
        if passed > _DROP_FROM:
            del self._firsts[:passed], self._differences[:passed]
