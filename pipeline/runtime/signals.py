"""Signals that end a process: Ctrl-C, `kill`, a terminal that closes.

A signal that is ignored already (nohup) stays so. Outside of the main thread nothing is changed: it alone gets signals.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

INTERRUPTED = 128 + signal.SIGINT
"""How a command exits that Ctrl-C has ended before it was done."""

_Handler = signal.Handlers | Callable[[int, FrameType | None], object]


@contextmanager
def stopping_on_signal(stop: Callable[[], object]) -> Iterator[None]:
    """Call `stop` at SIGINT, SIGTERM and SIGHUP while the context lasts, instead of being ended by them."""
    with _handling((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), lambda *_: stop()):
        yield


@contextmanager
def ending_by_signal() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind the stack as Ctrl-C does, so that what was started is stopped."""

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    with _handling((signal.SIGTERM, signal.SIGHUP), end):
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold off further signals while we clean up, so that an impatient second Ctrl-C leaves no orphan."""
    with _handling((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), signal.SIG_IGN):
        yield


@contextmanager
def _handling(numbers: tuple[signal.Signals, ...], handler: _Handler) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, handler) for number in numbers if signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
