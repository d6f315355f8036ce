"""Handling of signals that end a process: SIGINT (Ctrl-C), SIGTERM (`kill`), SIGHUP (a closed terminal).

A signal that is already ignored (nohup) stays ignored. Outside of the main thread, which alone gets signals, nothing
is changed.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

INTERRUPTED = 128 + signal.SIGINT
"""The exit code of a command that Ctrl-C interrupted."""

_Handler = signal.Handlers | Callable[[int, FrameType | None], object]


@contextmanager
def stopping_on_signal(stop: Callable[[], object]) -> Iterator[None]:
    """Call `stop` at SIGINT, SIGTERM and SIGHUP while the context lasts, instead of ending the process."""
    with _handling((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), lambda *_: stop()):
        yield


@contextmanager
def ending_by_signal() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise SystemExit, so that the process cleans up as it does at Ctrl-C."""

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    with _handling((signal.SIGTERM, signal.SIGHUP), end):
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore signals during a clean-up, so that a second Ctrl-C leaves no orphaned processes."""
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
