"""What became of dead letters: the marks of those that were redriven or discarded. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypedDict

from streams.dead_letters.letter import Letter, Name
from tracelink.model.codec import Codec, load_schema

Action = Literal["REDRIVEN", "DISCARDED"]

_CLOCKS_DIFFER = 60_000
"""Milliseconds by which the clock of the command may be ahead of that of who writes dead letters."""


class Mark(TypedDict):
    """What became of a letter; see the schema."""

    action: Action
    time: int
    letterTimestamp: int
    digest: bytes
    count: int


MARK: Codec[Mark] = Codec(load_schema("settled_letter"))


@dataclass(frozen=True, slots=True)
class Source:
    """Whose letters: the live ones, or a replay job's."""

    job: str | None = None

    def key(self, name: Name) -> bytes:
        """Return the key of the mark of a letter."""
        return f"{self.job}/{name}".encode() if self.job else str(name).encode()

    @staticmethod
    def parse(key: bytes) -> "tuple[Source, Name]":
        """Read the key of a mark; raises ValueError."""
        job, slash, name = key.decode().rpartition("/")
        return Source(job if slash else None), Name.parse(name)


class Marks:
    """The newest mark of each letter, from the records of their topic in its order."""

    def __init__(self) -> None:
        self._marks: dict[bytes, Mark] = {}
        self._sent: dict[bytes, list[Mark]] | None = None

    def take(self, key: bytes, value: bytes | None) -> None:
        """Take a record in; raises InvalidRecord where it is no mark."""
        self._sent = None
        if not value:
            self._marks.pop(key, None)
        else:
            self._marks[key] = MARK.decode(value)

    def of(self, source: Source, letter: Letter) -> Mark | None:
        """Return what became of a letter; None where it is open. A mark of another one at that place does not count."""
        mark = self._marks.get(source.key(letter.name))
        return mark if mark is not None and mark["letterTimestamp"] == letter.timestamp else None

    def has(self, letter: Letter) -> bool:
        """Tell whether a letter with the same key and payload was settled, wherever it lay."""
        digest = letter.digest()
        return any(mark["digest"] == digest for mark in self._marks.values())

    def count(self, letter: Letter) -> int:
        """Return how many times this message was redriven so far, as far as its header or a mark tells.

        A record that has gone through the join has lost its header. But a letter cannot come of a redrive that was
        after it: messages that were alike from the beginning do not count for each other.
        """
        if self._sent is None:
            self._sent = {}
            for mark in self._marks.values():
                if mark["action"] == "REDRIVEN":
                    self._sent.setdefault(mark["digest"], []).append(mark)
        alike = self._sent.get(letter.digest(), ()) if self._sent else ()
        before = [mark["count"] for mark in alike if mark["time"] <= letter.timestamp + _CLOCKS_DIFFER]
        return max(letter.headers.redriven, *before, 0)

    def outdated(self, begins: Mapping[tuple[Source, int], int], gone: Iterable[Source] = ()) -> list[bytes]:
        """Return the keys of marks whose letters are no more.

        `begins` are the offsets of the oldest letters by source and partition; `gone` are jobs that were deleted.
        """
        deleted = frozenset(gone)
        found: list[bytes] = []
        for key in self._marks:
            try:
                source, name = Source.parse(key)
            except ValueError:
                continue
            if source in deleted or name.offset < begins.get((source, name.partition), 0):
                found.append(key)
        return found

    def jobs(self) -> set[str]:
        """Return the replay jobs that there are marks of."""
        return {key.decode(errors="replace").rpartition("/")[0] for key in self._marks if b"/" in key}
