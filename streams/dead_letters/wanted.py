"""Which dead letters are meant: the filters that all commands share. Pure."""

from dataclasses import dataclass
from typing import NamedTuple

from streams.dead_letters.letter import Letter, Name


class Filters(NamedTuple):
    """What letters are asked for; an empty filter leaves all through. `since` and `until` are moments as given."""

    letters: tuple[Name, ...] = ()
    reasons: tuple[str, ...] = ()
    sink: str | None = None
    since: str | None = None
    until: str | None = None
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was asked for: all are meant, or it was forgotten."""
        return self == Filters()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Filters whose moments are known, in milliseconds, `begin` included and `end` not; `topics` are full names."""

    filters: Filters
    begin: int | None = None
    end: int | None = None
    topics: frozenset[str] = frozenset()

    def __contains__(self, letter: Letter) -> bool:
        asked = self.filters
        return (
            (not asked.letters or letter.name in asked.letters)
            and (not asked.reasons or letter.reason in asked.reasons)
            and (asked.sink is None or letter.sink == asked.sink)
            and (self.begin is None or letter.timestamp >= self.begin)
            and (self.end is None or letter.timestamp < self.end)
            and (not self.topics or letter.topic in self.topics)
            and (asked.partition is None or letter.partition == asked.partition)
            and (asked.offset is None or letter.offset == asked.offset)
        )
