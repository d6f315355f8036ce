"""The problems as they are now: a thread reads their topic, and wakes the pages that show them."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable

from pipeline.kafka.admin import connect
from pipeline.kafka.problem_topic import ProblemsTopic
from pipeline.model.problems import Problem
from sinks.page.follower import POLL_SECONDS, Follower
from tracelink.settings import KafkaSettings

_log = logging.getLogger(__name__)

_SECONDS_BETWEEN_TRIES = 5.0
_SILENCE = 15.0
"""Seconds without a record after which Kafka is asked if it is there."""
_QUIET = 15.0
"""Seconds without a change after which a listener gets None, so that it finds out if its reader is still there."""


class LiveProblems(Follower):
    """The newest state of each problem; a context manager that ends the thread. Any thread may call it."""

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        make: Callable[[KafkaSettings], ProblemsTopic] = ProblemsTopic,
        check: Callable[[KafkaSettings], object] = connect,
    ) -> None:
        super().__init__("problems", _SECONDS_BETWEEN_TRIES)
        self._settings = settings
        self._make = make
        self._check = check
        self._lock = threading.Lock()
        self._problems: dict[str, Problem] = {}
        self._failure: str | None = "The topic of problems has not been read yet."
        self._ended = False
        self._listeners: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    @property
    def failure(self) -> str | None:
        """Why the problems may be out of date; None if they are not."""
        return self._failure

    def all(self) -> list[Problem]:
        """Return all problems, the firing ones and the newest first."""
        with self._lock:
            found = list(self._problems.values())
        return sorted(found, key=lambda one: (one["status"] != "FIRING", -one["firstSeen"], one["fingerprint"]))

    def find(self, fingerprint: str) -> Problem | None:
        """Return the problem with a fingerprint, if there is one."""
        with self._lock:
            return self._problems.get(fingerprint)

    async def changes(self) -> AsyncGenerator[bool]:
        """Yield True at once and after each change, and False after a time without one; for an event loop.

        At once, because there may have been changes since its reader has seen the problems.
        """
        changed = asyncio.Event()
        changed.set()
        listener = (asyncio.get_running_loop(), changed)
        self._listeners.add(listener)
        try:
            while not self._ended:
                try:
                    async with asyncio.timeout(_QUIET):
                        await changed.wait()
                except TimeoutError:
                    yield False
                else:
                    changed.clear()
                    yield True
        finally:
            self._listeners.discard(listener)

    def end_changes(self) -> None:
        """End all that listens for changes, so that the server of the page can end."""
        self._ended = True
        self._wake()

    def failed(self, error: Exception) -> None:
        """Say that the problems may be out of date, and wake the pages that show them."""
        self._say(str(error))

    def follow(self) -> None:
        """Read the topic from its beginning, and wake the pages at each change."""
        with self._make(self._settings) as topic:
            heard = time.monotonic()
            while not self.stopping.is_set():
                changed = topic.poll(POLL_SECONDS)
                if changed:
                    heard = time.monotonic()
                elif time.monotonic() - heard > _SILENCE:
                    # The reader says nothing if Kafka is gone.
                    self._check(self._settings)
                    heard = time.monotonic()
                if not topic.is_read:
                    continue
                if changed or self._failure is not None:
                    with self._lock:
                        self._problems = {one["fingerprint"]: one for one in topic.listing.shown(quiet=True)}
                    self._say(None)
                    self._wake()

    def _say(self, failure: str | None) -> None:
        if failure == self._failure:
            return
        self._failure = failure
        if failure is not None:
            _log.warning("the problems are not up to date: %s", failure)
        self._wake()

    def _wake(self) -> None:
        for loop, changed in list(self._listeners):
            if not loop.is_closed():
                loop.call_soon_threadsafe(changed.set)
