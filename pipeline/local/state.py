"""What the stack remembers between two commands: the processes it started, in a file under a lock."""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from pipeline.local.events import Listener, Waiting, ignore


@dataclass(frozen=True, slots=True)
class Record:
    """A server that was started.

    `mark` is part of its command line and unique to this start; `pid` is None between the moment the start was
    decided and the moment the system told the process id.
    """

    mark: str
    port: int
    pid: int | None = None


def read(directory: Path) -> dict[str, Record]:
    """Read the records by server's name; none if the stack was never started there."""
    try:
        content = (directory / "state.json").read_bytes()
    except FileNotFoundError:
        return {}
    return {name: Record(**record) for name, record in orjson.loads(content)["servers"].items()}


def write(directory: Path, records: Mapping[str, Record]) -> None:
    """Replace the records, wholly or not at all."""
    content = {"servers": {name: asdict(record) for name, record in records.items()}}
    draft = directory / "state.json.new"
    draft.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
    draft.replace(directory / "state.json")


@contextmanager
def locked(directory: Path, listener: Listener = ignore) -> Iterator[None]:
    """Wait until no other command works on that directory, and keep others out; the lock dies with its process."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            listener(Waiting(str(directory)))
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
