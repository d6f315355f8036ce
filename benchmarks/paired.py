"""Two pieces of code measured in turn, since the speed of a shared machine changes from second to second."""

import time
from collections.abc import Callable
from statistics import median
from typing import NamedTuple


class Paired(NamedTuple):
    """The median CPU microseconds a record of ours and of the other, and the median of their ratios in each round."""

    ours: float
    other: float
    ratio: float


def paired(
    ours: Callable[[], object], other: Callable[[], object], *, records: int, rounds: int, repeats: int = 1
) -> Paired:
    """Measure both for some rounds, each with some repeats; a call of either handles so many records."""
    pairs = [(_us(ours, repeats) / records, _us(other, repeats) / records) for _ in range(rounds)]
    return Paired(
        median(one for one, _ in pairs), median(one for _, one in pairs), median(one / two for one, two in pairs)
    )


def _us(run: Callable[[], object], repeats: int) -> float:
    """Return the CPU microseconds of one call."""
    begun = time.process_time_ns()
    for _ in range(repeats):
        run()
    return (time.process_time_ns() - begun) / repeats / 1000
