"""A redrive or a discard from its first letter to its summary."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from streams.dead_letters.letter import Letter, Name
from streams.dead_letters.settle import BYTES_AT_ONCE, LETTERS_AT_ONCE, Settled, Settler
from streams.dead_letters.verdict import REFUSED, Outcome, Verdict

Judge = Callable[[Letter], Verdict]


@dataclass(slots=True)
class Summary:
    """What became of the letters; `topics` are those that letters were sent to."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    topics: Counter[str] = field(default_factory=Counter)
    refused: list[Verdict] = field(default_factory=list)
    forgotten: int = 0
    """Marks that were deleted because their letters are no more."""

    def add(self, verdict: Verdict) -> None:
        """Count what became of a letter."""
        self.outcomes[verdict.outcome] += 1
        if verdict.outcome in REFUSED:
            self.refused.append(verdict)
        elif verdict.outcome is Outcome.SENT and verdict.topic:
            self.topics[verdict.topic] += 1

    @property
    def to_do(self) -> int:
        """How many letters are sent or discarded."""
        return self.outcomes[Outcome.SENT] + self.outcomes[Outcome.DISCARDED]


def plan(letters: Iterable[Letter], judge: Judge, named: Iterable[Name], tell: Callable[[Verdict], None]) -> Summary:
    """Judge letters and do nothing; `tell` is called for each."""
    summary, missing = Summary(), set(named)
    for letter in letters:
        verdict = judge(letter)
        missing.discard(letter.name)
        summary.add(verdict)
        tell(verdict)
    for verdict in _missing(missing):
        summary.add(verdict)
        tell(verdict)
    return summary


def carry_out(
    letters: Iterable[Letter],
    judge: Judge,
    settler: Settler,
    summary: Summary,
    *,
    named: Iterable[Name] = (),
    rate: float | None = None,
) -> None:
    """Settle letters, so many a second, a transaction for some hundred; `summary` tells at any time what is done."""
    missing = set(named)
    batch = _Batch(settler, summary, rate)
    for letter in letters:
        verdict = judge(letter)
        missing.discard(letter.name)
        if verdict.outcome in {Outcome.SENT, Outcome.DISCARDED}:
            batch.add((letter, verdict))
        else:
            summary.add(verdict)
    batch.settle()
    for verdict in _missing(missing):
        summary.add(verdict)


class _Batch:
    """Letters that go out together."""

    def __init__(self, settler: Settler, summary: Summary, rate: float | None) -> None:
        self._settler = settler
        self._summary = summary
        self._rate = rate
        self._most = LETTERS_AT_ONCE if rate is None else max(1, min(LETTERS_AT_ONCE, int(rate)))
        self._due = time.monotonic()
        self._letters: list[Settled] = []
        self._bytes = 0

    def add(self, one: Settled) -> None:
        self._letters.append(one)
        self._bytes += one[0].size
        if len(self._letters) >= self._most or self._bytes >= BYTES_AT_ONCE:
            self.settle()

    def settle(self) -> None:
        if self._rate is not None and self._letters:
            self._settler.wait(max(0.0, self._due - time.monotonic()))
            self._due = max(self._due, time.monotonic()) + len(self._letters) / self._rate
        for verdict in self._settler.settle(self._letters):
            self._summary.add(verdict)
        self._letters, self._bytes = [], 0


def _missing(names: Iterable[Name]) -> list[Verdict]:
    why = "there is no such letter, or retention has passed it, or a filter leaves it out"
    return [Verdict(name, Outcome.MISSING, why=why) for name in sorted(names)]
