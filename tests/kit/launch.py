"""`python -m tests.kit.launch ARGUMENTS…` is `tracelink ARGUMENTS…`, which stops or dies where it is told to.

Each line of its standard input names a point and an order, `worker-committed KILL`. When the process next gets there
it sends itself that signal, or, told to HANG, the thread goes no further.
"""

import os
import signal
import sys
from collections.abc import Iterable
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


def obey(orders: Iterable[str]) -> None:
    """Do from now on what these order, in a thread of its own."""

    def listen() -> None:
        for line in orders:
            point, order = line.split()
            _orders[Failpoint(point)] = order

    install(_act)
    Thread(target=listen, name="orders", daemon=True).start()


if __name__ == "__main__":
    obey(sys.stdin)
    main()
