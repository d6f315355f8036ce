"""Runs each blocking call in a thread of its own."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def start(function: Callable[[], T]) -> "Future[T]":
    """Call a function in a daemon thread of its own.

    A thread of a pool would delay the exit of the process by a whole timeout if the target hangs.
    """
    future: Future[T] = Future()
    Thread(target=_complete, args=(future, function), name="sink", daemon=True).start()
    return future


def _complete(future: "Future[T]", function: Callable[[], T]) -> None:
    try:
        future.set_result(function())
    except BaseException as error:  # noqa: BLE001 - `Future.result` raises it
        future.set_exception(error)
