"""Watching the join's journal, to see when its partitions go on after a fault."""

import time
from threading import Event, Lock, Thread
from typing import Self

from tests.kit.kafka import reading
from tests.kit.waiting import wait_for


class Tail:
    """Reads the journal of a join's group as it grows; each transaction leaves a record for each of its partitions."""

    def __init__(self, servers: str, journal: str) -> None:
        self._servers = servers
        self._journal = journal
        self._seen: dict[int, list[tuple[float, float]]] = {}
        self._lock = Lock()
        self._stop = Event()
        self._thread = Thread(target=self._run, name="tail")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def recovery(self, partitions: int, since: float, *, seconds: float) -> float:
        """Return the seconds from a moment (time of day) until every partition has committed something made after it.

        AssertionError where that took longer than `seconds`. There must be load on all of them.
        """

        def last() -> float | None:
            with self._lock:
                first = [
                    min((read for made, read in self._seen.get(number, []) if made > since), default=None)
                    for number in range(partitions)
                ]
            known = [read for read in first if read is not None]
            return max(known) if len(known) == partitions else None

        return (wait_for("all partitions to commit again", last, seconds=seconds) or 0) - since

    def _run(self) -> None:
        with reading(self._servers, self._journal) as consumer:
            while not self._stop.is_set():
                for message in consumer.consume(1000, 0.05):
                    if message.error() is None:
                        made = message.timestamp()[1] / 1000
                        with self._lock:
                            self._seen.setdefault(message.partition() or 0, []).append((made, time.time()))
