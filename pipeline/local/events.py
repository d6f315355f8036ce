"""Progress events of the stack while it starts."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Downloading:
    """Jars are being downloaded; `file` is the one that made progress."""

    file: str
    files_done: int
    files: int
    bytes_done: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """Another command holds the lock on `what`."""

    what: str


@dataclass(frozen=True, slots=True)
class Starting:
    """A server was started and does not answer yet."""

    server: str


@dataclass(frozen=True, slots=True)
class Ready:
    """A server answers; `seconds` since its start, 0 if it was already running."""

    server: str
    seconds: float


Event = Waiting | Downloading | Starting | Ready
# Called by the starting thread and, during downloads, by other threads, one at a time.
Listener = Callable[[Event], None]


def ignore(_: Event) -> None:
    """Ignore all events."""
