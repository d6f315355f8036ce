"""`python -m pipeline.local.tether PARENT COMMAND…` becomes that command, and ends with its parent.

However the process PARENT ends, SIGKILL and out of memory included, the system sends SIGTERM to the command. Only
Linux can do that; elsewhere the command runs all the same.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


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
