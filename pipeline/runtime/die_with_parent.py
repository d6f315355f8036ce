"""`python -m pipeline.runtime.die_with_parent PARENT COMMAND…` becomes that command, and ends with its parent.

However the process PARENT ends, SIGKILL and out of memory included, the system sends SIGTERM to the command; to be
exact, when the thread ends that has started it. Only Linux can do that; elsewhere the command runs all the same.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def dying_with_us(command: Sequence[str]) -> tuple[str, ...]:
    """Return what to start instead of a command, so that it ends with this process."""
    return (sys.executable, "-P", "-m", "pipeline.runtime.die_with_parent", str(os.getpid()), *command)


def main() -> None:
    """Tie this process to its parent, and replace it by the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        # It is kept when the command replaces this program.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before we were tied to it
        return
    os.execv(command[0], command)  # noqa: S606 - our own command, without a shell


if __name__ == "__main__":
    main()
