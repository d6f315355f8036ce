"""Reduces errored traces to occurrences, and groups occurrences into the problems of this worker's partitions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.model import splice
from pipeline.model.problems import Occurrence, Problem, RootCause
from streams.alerts.occurrence import Located, Redact, located
from streams.alerts.problems import Changes, ProblemLimits, Problems
from streams.alerts.rule import Rule
from streams.alerts.rules import RulesFile
from tracelink.errors import InvalidRecord, Reason


class Arrived(NamedTuple):
    """An occurrence, its partition in the topic `errors`, and its broker time there, in milliseconds."""

    number: int
    time: int
    occurrence: Occurrence
    successor: str | None = None
    """If it comes under its fingerprint of the version before: that of this version."""


class Known(NamedTuple):
    """The last written states of a partition's problems, and which of them have fingerprints of an earlier version."""

    states: Sequence[Problem]
    former: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Grouped:
    """The changes to write for each partition, and the numbers of firing and of known problems."""

    changes: Mapping[int, Changes]
    settled: frozenset[int]
    """Partitions without further changes: those of the others are still to be written."""
    passed_on: Sequence[tuple[int, Occurrence]]
    """Occurrences of unknown problems that came under a former fingerprint, by partition: now under the current one."""
    firing: int
    known: int


class Grouper:
    """The problems of the assigned partitions."""

    def __init__(self, rules: RulesFile, redact: Redact, limits: ProblemLimits) -> None:
        self._rules = rules
        self._redact = redact
        self._limits = limits
        self._problems: dict[int, Problems] = {}

    def locate(self, message: bytes) -> Located:
        """Return the occurrence in an errored trace; raises InvalidRecord."""
        decoded = splice.decode(message)
        found = located(decoded.trace, self._rules.rules.fingerprint, self._redact)
        if found is None:
            raise InvalidRecord(Reason.BODY, "none of its errored records can be read")
        return found

    def restore(self, known: Mapping[int, Known]) -> None:
        """Take these partitions, with the last written states of their problems, in place of all others."""
        self._problems = {number: Problems(self._match, self._limits, *of) for number, of in known.items()}

    def group(self, arrived: Sequence[Arrived], ended: Sequence[int], now: int, *, due: bool) -> Grouped:
        """Take in occurrences, and move the `ended` partitions, which have nothing more to read, on to `now`.

        Returns all changes if `due`, else only those of partitions with an alert, or with an occurrence to pass on:
        that is committed with its offset, and so are the counts before it.

        An occurrence under a former fingerprint is counted there if its problem is known, else it is passed on.
        """
        passed_on: list[tuple[int, Occurrence]] = []
        for number, time, found, successor in arrived:
            of = self._problems[number]
            if successor is None or of.knows(found, time):
                of.observe(found, time, former=successor is not None)
            else:
                passed_on.append((number, {**found, "fingerprint": successor}))
        to_write = {number for number, _ in passed_on}
        for number in ended:
            self._problems[number].advance(now)
        problems = self._problems.items()
        return Grouped(
            {
                number: one.drain()
                for number, one in problems
                if one.tells or ((due or number in to_write) and not one.settled)
            },
            frozenset(number for number, one in problems if one.settled),
            passed_on,
            sum(one.firing for _, one in problems),
            sum(len(one) for _, one in problems),
        )

    def _match(self, origin: RootCause, fingerprint: str) -> Rule:
        return self._rules.rules.match(origin, fingerprint)
