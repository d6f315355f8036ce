"""Servers in an event loop: until when they serve, and how another thread asks them to end."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

_START_SECONDS = 0.1
"""A server that cannot listen has ended by then."""


class StopRequest:
    """Asks an event loop to end; any thread and any signal handler may do so, also before the loop runs."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._wake: Callable[[], object] = _nothing

    @property
    def is_set(self) -> bool:
        """True after it was asked."""
        return self._asked.is_set()

    def set(self) -> None:
        """Ask the loop to end."""
        self._asked.set()
        self._wake()

    @contextmanager
    def heard(self) -> Iterator[asyncio.Event]:
        """Give the running loop an event that is set when it was asked to end."""
        stop, loop = asyncio.Event(), asyncio.get_running_loop()

        def wake() -> None:
            loop.call_soon_threadsafe(stop.set)

        self._wake = wake
        if self._asked.is_set():
            stop.set()
        try:
            yield stop
        finally:
            self._wake = _nothing


async def serve_until(
    stop: asyncio.Event, serving: Sequence[asyncio.Task[None]], listening: Callable[[], object]
) -> list[asyncio.Task[None]]:
    """Wait until the event is set or a server ends; call `listening` if all of them run after a moment.

    Returns the servers that have ended: they could not listen, or failed.
    """
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([*serving, stopped], timeout=_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    if not any(one.done() for one in serving):
        listening()
    await asyncio.wait([*serving, stopped], return_when=asyncio.FIRST_COMPLETED)
    return [one for one in serving if one.done()]


def _nothing() -> None:
    """Wake no loop: none runs."""
