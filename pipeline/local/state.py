"""The state of the stack between two commands: its processes, in a file under a lock."""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from pipeline.local.events import Listener, Waiting, ignore


@dataclass(frozen=True, slots=True)
class Record:
    """A started server.

    `mark` is part of its command line and unique to this start; `pid` is None until the process exists.
    """

    mark: str
    port: int
    pid: int | None = None


def read(directory: Path) -> dict[str, Record]:
    """Return the records by name of the server; none if the stack was never started in this directory."""
    try:
        content = (directory / "state.json").read_bytes()
    except FileNotFoundError:
        return {}
    return {name: Record(**record) for name, record in orjson.loads(content)["servers"].items()}


def write(directory: Path, records: Mapping[str, Record]) -> None:
    """Replace the records atomically."""
    content = {"servers": {name: asdict(record) for name, record in records.items()}}
    draft = directory / "state.json.new"
    draft.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
    draft.replace(directory / "state.json")


@contextmanager
def locked(directory: Path, listener: Listener = ignore) -> Iterator[None]:
    """Hold the lock of a directory; wait for other commands. The lock ends with its process."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            listener(Waiting(str(directory)))
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
