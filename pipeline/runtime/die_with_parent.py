"""`python -m pipeline.runtime.die_with_parent PARENT COMMAND…` runs a command that ends with its parent process.

When the process PARENT ends in any way, SIGKILL and out of memory included, Linux sends SIGTERM to the command
(precisely: when the thread ends that started it). On other systems the command runs without this.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def dying_with_us(command: Sequence[str]) -> tuple[str, ...]:
    """Return a command that runs this one, but ends with this process."""
    return (sys.executable, "-P", "-m", "pipeline.runtime.die_with_parent", str(os.getpid()), *command)


def main() -> None:
    """Request SIGTERM at the parent's end, and execute the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        # The request survives `execv`.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # the parent ended before the request
        return
    os.execv(command[0], command)  # noqa: S606 - our own command, without a shell


if __name__ == "__main__":
    main()
