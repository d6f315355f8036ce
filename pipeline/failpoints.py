"""Failpoints: named places in the code at which the fault tests stop or kill a process.

Otherwise they do nothing, and no setting enables them: only a launcher of the tests can `install` a hook.
"""

import sys
from collections.abc import Callable
from enum import StrEnum

_LAUNCHERS = "tests."


class Failpoint(StrEnum):
    """The places; a fault is named after the value."""

    WORKER_POLLED = "worker-polled"
    """A worker has received messages and not handled them."""
    WORKER_ADVANCED = "worker-advanced"
    """The messages are handled and time has advanced; no output is sent."""
    WORKER_BEFORE_JOURNAL = "worker-before-journal"
    """A transaction is due; its journal records are not written."""
    WORKER_PRODUCED = "worker-produced"
    """All output is delivered; the offsets are not sent."""
    BEFORE_COMMIT = "before-commit"
    """A transaction of a worker, or of a sink's dead letters, is complete and not committed."""
    WORKER_COMMITTED = "worker-committed"
    """The transaction is committed; the worker has not recorded it."""
    WORKER_REVOKING = "worker-revoking"
    """Partitions are being revoked, before their last commit."""
    WORKER_ASSIGNING = "worker-assigning"
    """Partitions are assigned; nothing of them has been read."""
    WORKER_RESTORING = "worker-restoring"
    """The offsets of the partitions are known; the journal is being read."""
    TRENDS_WRITTEN = "trends-written"
    """Changed curves are in the changelogs; the offsets are not committed."""
    REPLAY_SENT = "replay-sent"
    """A replay has sent copies; its transaction is not committed."""
    REPLAY_COMMITTED = "replay-committed"
    """The transaction is committed; the copier has not recorded it."""
    SINK_BEFORE_WRITE = "sink-before-write"
    """A batch is decoded; it is not sent to the target."""
    SINK_WRITTEN = "sink-written"
    """The target has answered for the batch; its dead letters are not sent."""
    SINK_BEFORE_COMMIT = "sink-before-commit"
    """The batch and its dead letters are delivered; the offsets are not committed."""
    GATEWAY_PRODUCED = "gateway-produced"
    """The gateway has produced the records of some requests; Kafka has not acknowledged them."""
    GATEWAY_ACKNOWLEDGED = "gateway-acknowledged"
    """Kafka has acknowledged the records; the requests are not answered."""


_hooks: list[Callable[[Failpoint], None]] = []


def hit(failpoint: Failpoint) -> None:
    """Call the installed hooks, if any."""
    for hook in _hooks:
        hook(failpoint)


def install(hook: Callable[[Failpoint], None]) -> None:
    """Call a hook at every failpoint; raises RuntimeError if the process is not started by a launcher of the tests."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is None or not spec.name.startswith(_LAUNCHERS):
        raise RuntimeError("Only a launcher of the fault tests may install failpoints.")
    _hooks.append(hook)
