"""A case and its input."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.result import Result
from pipeline.local.stack import Endpoints


@dataclass(frozen=True, slots=True)
class Bench:
    """The input of a case: the addresses of the servers, a function that prints progress, and two folders."""

    servers: Endpoints
    say: Callable[[str], None]
    recorded: Path | None
    """Recorded traces, if any."""
    directory: Path
    """Keeps files from run to run, such as a peer that takes minutes to build."""


@dataclass(frozen=True, slots=True)
class Case:
    """A case by its name; `needs` names the servers."""

    name: str
    about: str
    needs: tuple[str, ...]
    run: Callable[[Bench], Result]
