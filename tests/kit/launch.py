"""`python -m tests.kit.launch ARGUMENTS…` is `tracelink ARGUMENTS…`, which stops or dies where it is told to.

Each line of its standard input names a point and an order, `worker-committed KILL`. When the process next gets there
it sends itself that signal, or, told to HANG, the thread goes no further.
"""

import os
import signal
import sys
from threading import Event, Thread

from pipeline.cli.root import main
from pipeline.failpoints import Failpoint, install

_orders: dict[Failpoint, str] = {}


def _act(point: Failpoint) -> None:
    order = _orders.pop(point, None) if _orders else None
    if order == "HANG":
        Event().wait()
    elif order is not None:
        os.kill(os.getpid(), signal.Signals[f"SIG{order}"])


def _listen() -> None:
    for line in sys.stdin:
        point, order = line.split()
        _orders[Failpoint(point)] = order


if __name__ == "__main__":
    install(_act)
    Thread(target=_listen, name="orders", daemon=True).start()
    main()
