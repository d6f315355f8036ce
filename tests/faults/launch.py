"""`python -m tests.faults.launch ARGUMENTS…` is `tracelink ARGUMENTS…`, which stops or dies where it is told to.

Each line of its standard input names a point and a signal, `join-committed KILL`: the process sends itself that signal
the next time it gets there.
"""

import os
import signal
import sys
from threading import Thread

from tracelink.cli import main
from tracelink.points import Point, install

_armed: dict[Point, signal.Signals] = {}


def _act(point: Point) -> None:
    number = _armed.pop(point, None) if _armed else None
    if number is not None:
        os.kill(os.getpid(), number)


def _listen() -> None:
    for line in sys.stdin:
        point, name = line.split()
        _armed[Point(point)] = signal.Signals[f"SIG{name}"]


if __name__ == "__main__":
    install(_act)
    Thread(target=_listen, name="orders", daemon=True).start()
    main()
