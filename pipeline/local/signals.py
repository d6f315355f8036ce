"""Being told to stop, by Ctrl-C, `kill`, or a terminal that closes."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(slots=True)
class Stop:
    """Whether we were told to stop."""

    requested: bool = False


@contextmanager
def told_to_stop() -> Iterator[Stop]:
    """Note SIGINT, SIGTERM and SIGHUP while the context lasts, instead of being ended by them; main thread only.

    A signal that is ignored already (nohup) stays so.
    """
    stop = Stop()

    def note(_number: int, _frame: FrameType | None) -> None:
        stop.requested = True

    before = {number: signal.signal(number, note) for number in _NUMBERS if signal.getsignal(number) != signal.SIG_IGN}
    try:
        yield stop
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
