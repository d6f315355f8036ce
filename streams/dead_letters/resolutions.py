"""What became of dead letters: the marks of those that were redriven or discarded. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypedDict

from streams.dead_letters.dead_letter import DeadLetter, Name
from tracelink.model.codec import Codec, load_schema

Action = Literal["REDRIVEN", "DISCARDED"]

_CLOCKS_DIFFER = 60_000
"""Milliseconds by which the clock of the command may be ahead of that of who writes dead letters."""


class Resolution(TypedDict):
    """What became of a letter; see the schema."""

    action: Action
    time: int
    letterTimestamp: int
    digest: bytes
    count: int


RESOLUTION: Codec[Resolution] = Codec(load_schema("settled_letter"))


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose letters: the live ones, or a replay job's."""

    job: str | None = None

    def key(self, name: Name) -> bytes:
        """Return the key of the mark of a letter."""
        return f"{self.job}/{name}".encode() if self.job else str(name).encode()

    @staticmethod
    def parse(key: bytes) -> "tuple[Owner, Name]":
        """Read the key of a mark; raises ValueError."""
        job, slash, name = key.decode().rpartition("/")
        return Owner(job if slash else None), Name.parse(name)


class Resolutions:
    """The newest mark of each letter, from the records of their topic in its order."""

    def __init__(self) -> None:
        self._resolutions: dict[bytes, Resolution] = {}
        self._sent: dict[bytes, list[Resolution]] | None = None

    def take(self, key: bytes, value: bytes | None) -> None:
        """Take a record in; raises InvalidRecord where it is no mark."""
        self._sent = None
        if not value:
            self._resolutions.pop(key, None)
        else:
            self._resolutions[key] = RESOLUTION.decode(value)

    def of(self, owner: Owner, letter: DeadLetter) -> Resolution | None:
        """Return what became of a letter; None where it is open. A mark of another one at that place does not count."""
        resolution = self._resolutions.get(owner.key(letter.name))
        return resolution if resolution is not None and resolution["letterTimestamp"] == letter.timestamp else None

    def has(self, letter: DeadLetter) -> bool:
        """Tell whether a letter with the same key and payload was settled, wherever it lay."""
        digest = letter.digest()
        return any(resolution["digest"] == digest for resolution in self._resolutions.values())

    def count(self, letter: DeadLetter) -> int:
        """Return how many times this message was redriven so far, as far as its header or a mark tells.

        A record that has gone through the join has lost its header. But a letter cannot come of a redrive that was
        after it: messages that were alike from the beginning do not count for each other.
        """
        if self._sent is None:
            self._sent = {}
            for resolution in self._resolutions.values():
                if resolution["action"] == "REDRIVEN":
                    self._sent.setdefault(resolution["digest"], []).append(resolution)
        alike = self._sent.get(letter.digest(), ()) if self._sent else ()
        before = [
            resolution["count"] for resolution in alike if resolution["time"] <= letter.timestamp + _CLOCKS_DIFFER
        ]
        return max(letter.headers.redriven, *before, 0)

    def outdated(self, begins: Mapping[tuple[Owner, int], int], gone: Iterable[Owner] = ()) -> list[bytes]:
        """Return the keys of marks whose letters are no more.

        `begins` are the offsets of the oldest letters by source and partition; `gone` are jobs that were deleted.
        """
        deleted = frozenset(gone)
        found: list[bytes] = []
        for key in self._resolutions:
            try:
                owner, name = Owner.parse(key)
            except ValueError:
                continue
            if owner in deleted or name.offset < begins.get((owner, name.partition), 0):
                found.append(key)
        return found

    def jobs(self) -> set[str]:
        """Return the replay jobs that there are marks of."""
        return {key.decode(errors="replace").rpartition("/")[0] for key in self._resolutions if b"/" in key}
