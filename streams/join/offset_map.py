"""Which offsets the records of a replayed input had in the live topic: parts are named after those."""

from bisect import bisect_right

# Below this length what is no longer needed is not worth dropping.
_DROP_FROM = 1024


class OffsetMap:
    """The way back from the offsets of one partition of a job's topic.

    The two sets of offsets differ by a constant wherever nothing was left out between: it is kept once for such a run.
    """

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._differences: list[int] = []

    def note(self, offset: int, live: int) -> None:
        """Note a record, which lies behind all that were noted before."""
        difference = live - offset
        if not self._differences or self._differences[-1] != difference:
            self._firsts.append(offset)
            self._differences.append(difference)

    def live(self, offset: int) -> int:
        """Return the live offset of a record that was noted and not forgotten."""
        return offset + self._differences[bisect_right(self._firsts, offset) - 1]

    def forget(self, below: int) -> None:
        """Drop what only records below this offset need."""
        passed = bisect_right(self._firsts, below) - 1
        if passed > _DROP_FROM:
            del self._firsts[:passed], self._differences[:passed]
