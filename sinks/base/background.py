"""Calls that may block for long, each in a thread of its own."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def start(function: Callable[[], T]) -> "Future[T]":
    """Call a function in a thread of its own.

    It does not keep the process alive, as those of a pool would: for a whole time-out where the target hangs.
    """
    future: Future[T] = Future()
    Thread(target=_settle, args=(future, function), name="sink", daemon=True).start()
    return future


def _settle(future: "Future[T]", function: Callable[[], T]) -> None:
    try:
        future.set_result(function())
    except BaseException as error:  # noqa: BLE001 - it is raised where the future is asked
        future.set_exception(error)
