"""Watchdog: ends a worker that makes no progress despite lag, so that its supervisor restarts it.

Kafka clients are known to stop reading without an error, to leave their group for good, and to hang in calls. A thread
compares the worker's reports with lag and group members, for which it asks Kafka itself over a connection of its own:
the state of the worker's client is not reliable.
"""

import logging
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Event, Thread
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException

from pipeline.kafka.admin import connect, member_ids
from pipeline.kafka.offsets import OffsetLookup
from tracelink.errors import Unavailable, UserError
from tracelink.kafka.topics import PartitionId
from tracelink.settings import KafkaSettings

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

_log = logging.getLogger(__name__)
_LONGEST_INTERVAL = 5.0
_ASK_TIMEOUT = 10.0
STUCK_EXIT_CODE = 75
"""The exit code of a stuck process (EX_TEMPFAIL: try again), even if it has to be killed."""


class Stuck(UserError):
    """The worker has ended because it was stuck."""

    exit_code = STUCK_EXIT_CODE


@dataclass(frozen=True, slots=True)
class EndOffset:
    """The end of a partition for readers of committed records (`stable`), and with open transactions (`high`)."""

    stable: int
    high: int


Ask = Callable[[Iterable[PartitionId]], Mapping[PartitionId, EndOffset]]
"""Returns the end offsets of partitions; raises Unavailable."""

IsEmpty = Callable[[], bool]
"""Returns True if the worker's group has no members; raises Unavailable."""


class Watchdog:
    """Detects a stuck worker: one without progress for `stuck_after` seconds despite lag.

    A worker is also stuck if its loop did not run for as long, even without partitions, because it would block its
    whole group; or if its group had no members for as long, because it should be one. The worker's loop calls `report`
    and `alive`, another thread `look`, any thread `not_ready`.
    """

    def __init__(self, stuck_after: float) -> None:
        self.interval = min(_LONGEST_INTERVAL, stuck_after / 10)
        """Seconds between two calls of `look`."""
        self.stuck: str | None = None
        self._stuck_after = stuck_after
        self._done: Mapping[PartitionId, int] = {}
        self._seen: Mapping[PartitionId, int] = {}
        self._since = 0.0
        self._alive: float | None = None
        self._looked: float | None = None
        self._empty_since: float | None = None
        self._open: dict[PartitionId, tuple[int, float]] = {}
        self._waiting: str | None = None

    def report(self, now: float, done: Mapping[PartitionId, int], *, excused: bool = False) -> None:
        """Record the offset up to which each partition is processed, negative if that is not known yet.

        `excused` means that the worker knowingly waits for something else, such as its target.
        """
        if excused or done != self._done:
            self._since = now
        self._done, self._alive = dict(done), now

    def alive(self, now: float) -> None:
        """Record that the loop runs, with or without progress."""
        self._alive = now

    def look(self, now: float, ask: Ask, is_empty: IsEmpty = lambda: False) -> str | None:
        """Return why the worker is stuck, or None.

        `ask` is called if the loop is stuck or a partition has not advanced since the last look, `is_empty` if there
        are no partitions. Records of open transactions do not count as lag, and while Kafka is down there is no lag.
        """
        done, seen, looked = self._done, self._seen, self._looked
        self._seen, self._looked = done, now
        slept = looked is not None and now - looked > self._stuck_after / 2  # process or machine was suspended
        if slept or looked is None:
            self._since = now
        alive = self._alive = now if slept or self._alive is None else self._alive
        still = {partition for partition, offset in done.items() if seen.get(partition) == offset}
        hangs = now - alive >= self._stuck_after
        if not still and not hangs:
            self._waiting, self._open = None, {}
            if self._is_missed(now, is_empty, slept=slept):
                self.stuck = f"its group has had no members for {self._stuck_after:g} s, although it should be one"
            return self.stuck
        try:
            ends = ask(done)
        except Unavailable as error:
            self._since = self._alive = now
            self._waiting = str(error)
            return None
        self._note_open({one: ends[one].stable for one in still if done[one] >= ends[one].stable < ends[one].high}, now)
        lags = {partition: ends[partition].stable - max(0, offset) for partition, offset in done.items()}
        behind = max(lags.values(), default=0) > 0
        if behind and (hangs or now - self._since >= self._stuck_after):
            self.stuck = self._describe(now, lags, silent=now - alive)
        elif hangs:
            self.stuck = f"the loop has been stuck for {now - alive:.0f} s"
        elif not behind:
            self._since = now
        return self.stuck

    def not_ready(self) -> str | None:
        """Return why the worker is stuck, or what it waits for in Kafka, or None."""
        return self.stuck or self._waiting

    def _is_missed(self, now: float, is_empty: IsEmpty, *, slept: bool) -> bool:
        """Return True if the group has had no members for `stuck_after`, although this worker should be one."""
        try:
            empty = not self._done and not slept and is_empty()
        except Unavailable as error:
            empty, self._waiting = False, str(error)
        self._empty_since = (self._empty_since or now) if empty else None
        return self._empty_since is not None and now - self._empty_since >= self._stuck_after

    def _note_open(self, stable: Mapping[PartitionId, int], now: float) -> None:
        """Record open transactions; the worker waits for those that were already open at the last look."""
        before = self._open
        self._open = {
            partition: before[partition] if before.get(partition, (None,))[0] == offset else (offset, now)
            for partition, offset in stable.items()
        }
        known = {partition: found for partition, found in self._open.items() if found[1] < now}
        self._waiting = None
        if known:
            (topic, number), (offset, first) = min(known.items(), key=lambda one: one[1][1])
            self._waiting = (
                f"waiting for a transaction that is open on {topic}[{number}] at offset {offset}, "
                f"for {now - first:.0f} s so far"
            )

    def _describe(self, now: float, lags: Mapping[PartitionId, int], *, silent: float) -> str:
        (topic, number), _ = max(lags.items(), key=lambda one: one[1])
        offset = self._done.get((topic, number), -1)
        behind = sum(max(0, lag) for lag in lags.values())
        return (
            f"no progress for {now - self._since:.0f} s at a lag of {behind}, most of it on {topic}[{number}], which "
            + (f"is at offset {offset}" if offset >= 0 else "has not been started")
            + (f"; the loop has been stuck for {silent:.0f} s" if silent > self._stuck_after / 2 else "")
        )


class EndOffsetLookup:
    """Asks Kafka for end offsets, over a connection of its own."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._lookup: OffsetLookup | None = None

    def __call__(self, partitions: Iterable[PartitionId]) -> dict[PartitionId, EndOffset]:
        """Return the end offsets; raises Unavailable if Kafka does not answer, even without partitions."""
        asked = list(partitions)
        try:
            lookup = self._lookup = self._lookup or OffsetLookup(connect(self._settings, timeout=_ASK_TIMEOUT))
            if not asked:
                lookup.topics()
            # In this order: a transaction that is committed in between must not look open.
            high, stable = lookup.ends(asked, committed=False), lookup.ends(asked)
        except UserError as error:
            self._lookup = None
            raise Unavailable(f"Kafka does not return the end offsets: {error.message}") from error
        return {partition: EndOffset(stable[partition], high[partition]) for partition in asked}


class Members:
    """Asks Kafka for the members of a group, over a connection of its own."""

    def __init__(self, settings: KafkaSettings, group: str) -> None:
        self._settings = settings
        self._group = group
        self._admin: AdminClient | None = None

    def is_empty(self) -> bool:
        """Return True if the group has no members; raises Unavailable."""
        try:
            admin = self._admin = self._admin or connect(self._settings, timeout=_ASK_TIMEOUT)
            return not member_ids(admin, self._group)
        except (KafkaException, UserError) as error:
            self._admin = None
            raise Unavailable(f"Kafka does not return the members of the group {self._group}: {error}") from error


def terminate() -> None:
    """Send SIGTERM to this process, as a supervisor does: our commands then shut down in order."""
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def watching(
    watchdog: Watchdog,
    ask: Ask,
    is_empty: IsEmpty = lambda: False,
    *,
    end: Callable[[], None] = terminate,
    grace: float = 10.0,
) -> Iterator[None]:
    """Watch a worker while the context lasts; if it is stuck, call `end`; the context then raises Stuck.

    If the context does not end within `grace` seconds, the process exits at once with STUCK_EXIT_CODE.
    """
    over = Event()
    look = partial(watchdog.look, ask=ask, is_empty=is_empty)
    Thread(target=_watch, args=(watchdog, look, end, grace, over), name="watchdog", daemon=True).start()
    try:
        yield
    finally:
        over.set()
        if watchdog.stuck is not None:
            raise Stuck(f"Ended because it was stuck: {watchdog.stuck}.")


def _watch(
    watchdog: Watchdog, look: Callable[[float], str | None], end: Callable[[], None], grace: float, over: Event
) -> None:
    while not over.wait(watchdog.interval):
        why = look(time.monotonic())
        if why is None or over.is_set():
            continue
        _log.error("stuck, ending: %s", why)
        end()
        if not over.wait(grace):
            _log.error("did not end within %g s: exiting at once", grace)
            os._exit(STUCK_EXIT_CODE)
