"""What the stack tells about its progress while it starts."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Downloading:
    """Jars are being fetched; `file` is the one that just moved on."""

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
    """A server has been started and does not answer yet."""

    server: str


@dataclass(frozen=True, slots=True)
class Ready:
    """A server answers; `seconds` since it was started, 0 if it ran already."""

    server: str
    seconds: float


Event = Waiting | Downloading | Starting | Ready
# Called from the starting thread and, while downloading, from others, one at a time.
Listener = Callable[[Event], None]


def ignore(_: Event) -> None:
    """Listen to nothing."""
