"""Named points on a record's way, at which the fault tests stop or kill a process.

Nothing happens at them otherwise, and no setting changes that: a test's own launcher installs a hook, and `install`
refuses every other program.
"""

import sys
from collections.abc import Callable
from enum import StrEnum

_LAUNCHERS = "tests."


class Failpoint(StrEnum):
    """Where a process may be interrupted; each value is the name that a fault goes by."""

    WORKER_POLLED = "worker-polled"
    """A worker has messages that it has not looked at."""
    WORKER_ADVANCED = "worker-advanced"
    """They were taken in and time has passed; nothing that came of it is sent."""
    WORKER_BEFORE_JOURNAL = "worker-before-journal"
    """A transaction is due, its journal not written."""
    WORKER_PRODUCED = "worker-produced"
    """All that goes out is delivered, the offsets not sent."""
    BEFORE_COMMIT = "before-commit"
    """A transaction, of a worker or of a sink's dead letters, holds everything and is not committed."""
    WORKER_COMMITTED = "worker-committed"
    """The transaction is committed, and the worker has not noted it."""
    WORKER_REVOKING = "worker-revoking"
    """Partitions are about to leave, their last commit is still to come."""
    WORKER_ASSIGNING = "worker-assigning"
    """Partitions have come, nothing of them has been read."""
    WORKER_RESTORING = "worker-restoring"
    """Their offsets are known, and the journal is being read."""
    REPLAY_SENT = "replay-sent"
    """A replay has sent copies, its transaction is not committed."""
    REPLAY_COMMITTED = "replay-committed"
    """The transaction is committed, and the copier has not noted it."""
    SINK_BEFORE_WRITE = "sink-before-write"
    """A batch is decoded and not sent to the target."""
    SINK_WRITTEN = "sink-written"
    """The target has answered for the batch; its dead letters are still to come."""
    SINK_BEFORE_COMMIT = "sink-before-commit"
    """All of the batch is where it belongs, its offsets are not committed."""


_hooks: list[Callable[[Failpoint], None]] = []


def hit(failpoint: Failpoint) -> None:
    """Let a test act here."""
    for hook in _hooks:
        hook(failpoint)


def install(hook: Callable[[Failpoint], None]) -> None:
    """Have a hook called at every point; raises RuntimeError in a process that no test's launcher has started."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is None or not spec.name.startswith(_LAUNCHERS):
        raise RuntimeError("Points are for the launcher of the fault tests alone.")
    _hooks.append(hook)
