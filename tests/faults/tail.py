"""Watching the join's journal, to see when its partitions go on after a fault."""

import time
from contextlib import suppress
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

    def first(self, partitions: int, since: float, *, seconds: float) -> list[tuple[float, float] | None]:
        """Wait until every partition has committed something made after a moment; there must be load on all of them.

        Returns when the first of it was made and when it was seen (times of day), by the partition; None for those that
        have committed nothing within so many seconds.
        """

        def look() -> list[tuple[float, float] | None]:
            with self._lock:
                seen = [self._seen.get(number, []) for number in range(partitions)]
                return [next((one for one in records if one[0] > since), None) for records in seen]

        with suppress(AssertionError):
            wait_for("all partitions to commit again", lambda: all(look()), seconds=seconds)
        return look()

    def _run(self) -> None:
        with reading(self._servers, self._journal) as consumer:
            while not self._stop.is_set():
                for message in consumer.consume(1000, 0.05):
                    if message.error() is None:
                        made = message.timestamp()[1] / 1000
                        with self._lock:
                            self._seen.setdefault(message.partition() or 0, []).append((made, time.time()))
