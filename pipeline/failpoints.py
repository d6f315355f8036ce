"""Named points on a record's way, at which the fault tests stop or kill a process.

Nothing happens at them otherwise, and no setting changes that: a test's own launcher installs a hook, and `install`
refuses every other program.
"""

import sys
from collections.abc import Callable
from enum import StrEnum

_LAUNCHERS = "tests."


class Point(StrEnum):
    """Where a process may be interrupted; each value is the name that a fault goes by."""

    JOIN_POLLED = "join-polled"
    """The join has messages that it has not looked at."""
    JOIN_MID_WINDOW = "join-mid-window"
    """The windows were fed, and what has closed is not sent."""
    JOIN_BEFORE_PRODUCE = "join-before-produce"
    """A transaction is due, its journal not written."""
    JOIN_PRODUCED = "join-produced"
    """Parts and journal are delivered, the offsets not sent."""
    BEFORE_COMMIT = "before-commit"
    """A transaction, of a worker or of a sink's dead letters, holds everything and is not committed."""
    JOIN_COMMITTED = "join-committed"
    """The transaction is committed, and the worker has not noted it."""
    JOIN_REVOKING = "join-revoking"
    """Partitions are about to leave, their last commit is still to come."""
    JOIN_ASSIGNING = "join-assigning"
    """Partitions have come, nothing of them has been read."""
    JOIN_RECOVERING = "join-recovering"
    """The journal is being read."""
    ALERTS_POLLED = "alerts-polled"
    """The worker that groups errors has messages that it has not looked at."""
    ALERTS_GROUPED = "alerts-grouped"
    """They were grouped, and nothing of it is sent."""
    ALERTS_COMMITTED = "alerts-committed"
    """The transaction is committed, and the worker has not noted it."""
    ALERTS_ASSIGNING = "alerts-assigning"
    """Partitions have come, no problem of them has been read."""
    ALERTS_RESTORING = "alerts-restoring"
    """Their offsets are known, the states of their problems are about to be read."""
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


_hooks: list[Callable[[Point], None]] = []


def reached(point: Point) -> None:
    """Let a test act here."""
    for hook in _hooks:
        hook(point)


def install(hook: Callable[[Point], None]) -> None:
    """Have a hook called at every point; raises RuntimeError in a process that no test's launcher has started."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is None or not spec.name.startswith(_LAUNCHERS):
        raise RuntimeError("Points are for the launcher of the fault tests alone.")
    _hooks.append(hook)
