"""The resolutions of dead letters: which were redriven or discarded. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypedDict

from streams.dead_letters.dead_letter import DeadLetter, Name
from tracelink.model.codec import Codec, load_schema

Action = Literal["REDRIVEN", "DISCARDED"]

_CLOCKS_DIFFER = 60_000
"""Milliseconds by which the clock of the command may be ahead of the clock of the writers of dead letters."""


class Resolution(TypedDict):
    """The resolution of a dead letter; see the schema."""

    action: Action
    time: int
    letterTimestamp: int
    digest: bytes
    count: int


RESOLUTION: Codec[Resolution] = Codec(load_schema("settled_letter"))


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of dead letters: the live pipeline (None), or a replay job."""

    job: str | None = None

    def key(self, name: Name) -> bytes:
        """Return the key of a dead letter's resolution."""
        return f"{self.job}/{name}".encode() if self.job else str(name).encode()

    @staticmethod
    def parse(key: bytes) -> "tuple[Owner, Name]":
        """Parse the key of a resolution; raises ValueError."""
        job, slash, name = key.decode().rpartition("/")
        return Owner(job if slash else None), Name.parse(name)


class Resolutions:
    """The newest resolution of each dead letter; takes the topic's records in their order."""

    def __init__(self) -> None:
        self._resolutions: dict[bytes, Resolution] = {}
        self._sent: dict[bytes, list[Resolution]] | None = None

    def take(self, key: bytes, value: bytes | None) -> None:
        """Take in a record; raises InvalidRecord if it is not a resolution."""
        self._sent = None
        if not value:
            self._resolutions.pop(key, None)
        else:
            self._resolutions[key] = RESOLUTION.decode(value)

    def of(self, owner: Owner, letter: DeadLetter) -> Resolution | None:
        """Return the resolution of a dead letter, or None if it is open; ignores that of a former one of this name."""
        resolution = self._resolutions.get(owner.key(letter.name))
        return resolution if resolution is not None and resolution["letterTimestamp"] == letter.timestamp else None

    def has(self, letter: DeadLetter) -> bool:
        """Return True if any dead letter with the same key and payload is resolved."""
        digest = letter.digest()
        return any(resolution["digest"] == digest for resolution in self._resolutions.values())

    def count(self, letter: DeadLetter) -> int:
        """Return how often this message was redriven, by its header or by resolutions with the same digest.

        A record loses its header in the join. Only resolutions from before the dead letter count: a later redrive was
        that of another, equal message.
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
        """Return the keys of resolutions whose dead letters no longer exist.

        `begins` are the offsets of the oldest dead letters by owner and partition; `gone` are owners of deleted jobs.
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
        """Return the replay jobs with resolutions."""
        return {key.decode(errors="replace").rpartition("/")[0] for key in self._resolutions if b"/" in key}
