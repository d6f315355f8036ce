"""Pacing: no more is posted than Zipkin's storage takes.

Zipkin answers 202 once it has the spans in its memory, and asks its storage to take them afterwards, in as many
requests at a time as come: posted faster than they are stored, they fill its heap until it dies of that. Its storage
throttle does not help. It bounds requests and not bytes, and drops what does not fit its queue, long after the 202.

With Elasticsearch behind it, Zipkin counts the requests to its storage at /prometheus. So of what was posted only some
megabytes may be in its memory: the next post waits until the storage has answered. With any storage, a request that
took long is followed by a rest that is as long.
"""

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families
from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_delay, wait_exponential

from tracelink.errors import Unavailable

_log = logging.getLogger(__name__)

_ACTIVE, _ANSWERED = "elasticsearch_active_requests", "elasticsearch_requests_total"
_STORING = "index-span"
# A request that the storage answers late must not hold up those behind it: Zipkin gives it up after 10 s.
_LATE = 1
_SLOW_SECONDS = 1.0
_QUIET_SECONDS = 60.0


class Storage(NamedTuple):
    """Requests with spans that Zipkin has sent to its storage since it started."""

    active: float
    """Those without an answer yet."""
    answered: float
    """Those that have ended, `failed` included."""
    failed: float

    @classmethod
    def read(cls, page: str) -> "Storage | None":
        """Read Zipkin's page of metrics; None where it has no such storage."""
        lines = [line for line in page.splitlines() if line.startswith((_ACTIVE, _ANSWERED))]
        if not lines:
            return None
        found = {_ACTIVE: 0.0, "success": 0.0, "failure": 0.0}
        for family in text_string_to_metric_families("\n".join([*lines, ""])):
            for name, labels, value, *_ in family.samples:
                if labels.get("method") == _STORING:
                    found[labels.get("result", name)] += value
        return cls(found[_ACTIVE], found["success"] + found["failure"], found["failure"])


class Pace:
    """Holds requests back, for one connection to one Zipkin."""

    def __init__(self, page: Callable[[], str], most: int, patience: float) -> None:
        """`page` asks for Zipkin's metrics, empty where it has none; `most` bytes may be in its memory.

        After `patience` seconds in which the storage answers nothing, Zipkin counts as unavailable.
        """
        self._page = page
        self._most = most
        self._patience = patience
        self._posted = 0
        self._rests_until = 0.0
        self._last: Storage | None = None
        self._failed = 0.0
        self._says_again = 0.0
        self._said = False

    def wait(self, size: int) -> None:
        """Wait until a request of so many bytes may be posted; raises Unavailable where the storage stands still."""
        time.sleep(max(0.0, self._rests_until - time.monotonic()))
        if self._posted and self._posted + size > self._most:
            self._catch_up()
            self._posted = 0

    def note(self, size: int, seconds: float) -> None:
        """Note a request that Zipkin has said yes to, after so many seconds."""
        self._posted += size
        if seconds > _SLOW_SECONDS:
            self._rests_until = time.monotonic() + min(seconds, self._patience)

    def _catch_up(self) -> None:
        """Wait until the storage has answered all but the latest of what it is asked for now."""
        begin = self._look()
        if begin is None:
            if not self._said:
                self._said = True
                _log.info("Zipkin does not say what its storage has to take yet: requests are paced by their time.")
            return
        wanted = begin.answered + begin.active - _LATE

        def behind() -> bool:
            now = self._look()
            # One that has started again counts from 0, and has nothing in its memory.
            return now is not None and begin.answered <= now.answered < wanted

        if begin.answered < wanted:
            Retrying(
                retry=retry_if_result(bool),
                wait=wait_exponential(0.02, max=0.2),
                stop=stop_after_delay(self._patience),
                retry_error_callback=_stands_still,
            )(behind)

    def _look(self) -> Storage | None:
        now = Storage.read(self._page())
        if now and self._last:
            self._failed += max(0.0, now.failed - self._last.failed)
        self._last = now
        if self._failed and time.monotonic() >= self._says_again:
            _log.warning(
                "Zipkin's storage has refused %d requests, or answered too late: spans may be missing in Zipkin "
                "(`tracelink verify` says which).",
                self._failed,
            )
            self._failed, self._says_again = 0.0, time.monotonic() + _QUIET_SECONDS
        return now


def _stands_still(state: RetryCallState) -> bool:
    seconds = state.seconds_since_start or 0
    raise Unavailable(f"Zipkin's storage has not answered for {seconds:.0f} s, and no more is posted until it does")
