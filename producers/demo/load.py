"""Load generator: sends orders to the shop, and records the trace id and the result of each."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

import urllib3

from producers.demo.services import TRACE_ID_HEADER

_CUSTOMERS = ("Ada", "Grace", "Edsger", "Barbara", "Donald", "Radia")
_ITEMS = ("lamp", "chair", "desk", "shelf")
_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that the shop answered."""

    trace_id: str
    """32 lower-case hex characters."""
    failed: bool


class Load:
    """The requests so far; its lists only grow."""

    def __init__(self) -> None:
        self.answered: list[Answered] = []
        self.unanswered: list[str] = []
        """The reason of each request without an answer."""
        self.done = False
        """True if `limit` requests were sent."""


@contextmanager
def load(url: str, *, rate: float, limit: int | None = None) -> Iterator[Load]:
    """Send orders one at a time, at most `rate` a second, until the context ends or `limit` orders were sent."""
    seen, ended = Load(), threading.Event()
    thread = threading.Thread(target=_send, args=(url, rate, limit, seen, ended), name="load", daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def _send(url: str, rate: float, limit: int | None, seen: Load, ended: threading.Event) -> None:
    chance = random.Random(1)  # noqa: S311 - customers, not secrets
    due = time.monotonic()
    number = 0
    with urllib3.PoolManager(retries=False, timeout=_TIMEOUT_SECONDS) as pool:
        while number != limit and not ended.wait(due - time.monotonic()):
            _order(pool, url, chance, seen)
            number += 1
            # After a slow response the load does not catch up.
            due = max(due + 1 / rate, time.monotonic())
    seen.done = number == limit


def _order(pool: urllib3.PoolManager, url: str, chance: random.Random, seen: Load) -> None:
    wanted = {"customer": chance.choice(_CUSTOMERS), "item": chance.choice(_ITEMS), "quantity": chance.randint(1, 3)}
    try:
        answer = pool.request("POST", f"{url}/orders", json=wanted)
    except urllib3.exceptions.HTTPError as error:
        seen.unanswered.append(str(error))
        return
    trace_id = answer.headers.get(TRACE_ID_HEADER)
    if trace_id is None:
        seen.unanswered.append(f"{answer.status} without {TRACE_ID_HEADER}")
        return
    seen.answered.append(Answered(trace_id, answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR))
