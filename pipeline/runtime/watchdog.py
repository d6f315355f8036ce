"""Whether a worker gets on: one that does not while there is work says why, and ends, so that it is started again.

Kafka clients are known to stop reading without an error, to leave their group and not come back, and calls to hang. A
thread of its own looks at what the worker reports, and asks Kafka itself what there is to do, and who is there: what
the worker's client believes is no witness.
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
"""How a process ends that was stuck (EX_TEMPFAIL: try again), whether in good order or not."""


class Stuck(UserError):
    """The worker was stuck, and has ended for that."""

    exit_code = STUCK_EXIT_CODE


@dataclass(frozen=True, slots=True)
class EndOffset:
    """Where a partition ends for those who read committed records only, and where with those of open transactions."""

    stable: int
    high: int


Ask = Callable[[Iterable[PartitionId]], Mapping[PartitionId, EndOffset]]
"""Tells where partitions end; raises Unavailable."""

IsEmpty = Callable[[], bool]
"""Tells whether the worker's group has no members; raises Unavailable."""


class Watchdog:
    """Judges whether a worker is stuck: for `stuck_after` seconds it has got no further, and there was work.

    So is one whose loop hangs for as long, partitions or not: it would hold up its whole group. And so is one whose
    group has had no members for as long: it is to be one. The worker's loop calls `report` and `alive`, another thread
    `look`, and any thread `not_ready`.
    """

    def __init__(self, stuck_after: float) -> None:
        self.interval = min(_LONGEST_INTERVAL, stuck_after / 10)
        """Seconds from one look to the next."""
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
        """Note up to which offset the work of each partition is done; negative where that is not known yet.

        `excused` says that the worker waits for somebody else, and knows it; without partitions it has nothing to do
        but to go round.
        """
        if excused or done != self._done:
            self._since = now
        self._done, self._alive = dict(done), now

    def alive(self, now: float) -> None:
        """Note that the loop goes round, whatever becomes of the work."""
        self._alive = now

    def look(self, now: float, ask: Ask, is_empty: IsEmpty = lambda: False) -> str | None:
        """Return why the worker is stuck, or None; `ask` is called where something stands still since the last look.

        `is_empty` is called where there are no partitions. What belongs to an open transaction of somebody else is no
        work yet, and while Kafka is away there is none.
        """
        done, seen, looked = self._done, self._seen, self._looked
        self._seen, self._looked = done, now
        slept = looked is not None and now - looked > self._stuck_after / 2  # this process was stopped, or its machine
        if slept or looked is None:
            self._since = now
        alive = self._alive = now if slept or self._alive is None else self._alive
        still = {partition for partition, offset in done.items() if seen.get(partition) == offset}
        hangs = now - alive >= self._stuck_after
        if not still and not hangs:
            self._waiting, self._open = None, {}
            if self._is_missed(now, is_empty, slept=slept):
                self.stuck = f"its group has had no members for {self._stuck_after:g} s, and it is to be one"
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
            self.stuck = f"the loop hangs since {now - alive:.0f} s"
        elif not behind:
            self._since = now
        return self.stuck

    def not_ready(self) -> str | None:
        """Return that the worker is stuck, or what it waits for at Kafka, or None."""
        return self.stuck or self._waiting

    def _is_missed(self, now: float, is_empty: IsEmpty, *, slept: bool) -> bool:
        """Tell whether the group has had no members for long, though this worker is to be one."""
        try:
            empty = not self._done and not slept and is_empty()
        except Unavailable as error:
            empty, self._waiting = False, str(error)
        self._empty_since = (self._empty_since or now) if empty else None
        return self._empty_since is not None and now - self._empty_since >= self._stuck_after

    def _note_open(self, stable: Mapping[PartitionId, int], now: float) -> None:
        """Note transactions that are open; those of the last look too are waited for."""
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
            + (f"stands at offset {offset}" if offset >= 0 else "was not begun")
            + (f"; the loop hangs since {silent:.0f} s" if silent > self._stuck_after / 2 else "")
        )


class EndOffsetLookup:
    """Asks Kafka where partitions end, over a connection of its own."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._lookup: OffsetLookup | None = None

    def __call__(self, partitions: Iterable[PartitionId]) -> dict[PartitionId, EndOffset]:
        """Return the ends; raises Unavailable, also where there is none to be asked for."""
        asked = list(partitions)
        try:
            lookup = self._lookup = self._lookup or OffsetLookup(connect(self._settings, timeout=_ASK_TIMEOUT))
            if not asked:
                lookup.topics()
            # In this order: what is committed in between must not look like an open transaction.
            high, stable = lookup.ends(asked, committed=False), lookup.ends(asked)
        except UserError as error:
            self._lookup = None
            raise Unavailable(f"Kafka does not tell where the partitions end: {error.message}") from error
        return {partition: EndOffset(stable[partition], high[partition]) for partition in asked}


class Members:
    """Asks Kafka who is in a group, over a connection of its own."""

    def __init__(self, settings: KafkaSettings, group: str) -> None:
        self._settings = settings
        self._group = group
        self._admin: AdminClient | None = None

    def is_empty(self) -> bool:
        """Tell whether the group has no members; raises Unavailable."""
        try:
            admin = self._admin = self._admin or connect(self._settings, timeout=_ASK_TIMEOUT)
            return not member_ids(admin, self._group)
        except (KafkaException, UserError) as error:
            self._admin = None
            raise Unavailable(f"Kafka does not tell who is in the group {self._group}: {error}") from error


def terminate() -> None:
    """End this process as a supervisor does: by SIGTERM, which our commands answer in good order."""
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
    """Watch a worker while the context lasts: a stuck one is told to `end`, and the context then raises Stuck.

    A process whose context lasts for `grace` seconds more is ended at once, with STUCK_EXIT_CODE.
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
            _log.error("does not end within %g s: ending hard", grace)
            os._exit(STUCK_EXIT_CODE)
