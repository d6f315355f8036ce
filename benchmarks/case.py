"""What a case is, and what it gets."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.result import Result
from pipeline.local.stack import Endpoints


@dataclass(frozen=True, slots=True)
class Bench:
    """What a case runs with: where the servers are, how it says what it is at, and the folder of recorded traces."""

    servers: Endpoints
    say: Callable[[str], None]
    recorded: Path | None
    directory: Path
    """Where a case may keep what it has made, such as a peer that takes minutes to build."""


@dataclass(frozen=True, slots=True)
class Case:
    """A case by its name; `needs` names the servers."""

    name: str
    about: str
    needs: tuple[str, ...]
    run: Callable[[Bench], Result]
