"""Pacing: posts spans no faster than Zipkin's storage takes them.

Zipkin responds 202 as soon as it has the spans in memory, and then stores them, with no limit on concurrent requests.
Spans that are posted faster than they are stored fill its heap until it dies. Its storage throttle does not help: it
limits requests and not bytes, and drops spans that do not fit its queue, long after the 202.

With Elasticsearch as storage, Zipkin counts its storage requests at /prometheus. So at most some megabytes of posted
spans may be in its memory: the next post waits until the storage has answered. With any storage, a slow request is
followed by a pause of the same length.
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
# One late storage request must not delay the next posts: Zipkin abandons it after ES_TIMEOUT, 10 s by default.
_LATE = 1
_SLOW_SECONDS = 1.0
_QUIET_SECONDS = 60.0


class Storage(NamedTuple):
    """Numbers of requests with spans that Zipkin has sent to its storage since its start."""

    active: float
    """Requests without an answer yet."""
    answered: float
    """Requests that have ended, including `failed`."""
    failed: float

    @classmethod
    def read(cls, page: str) -> "Storage | None":
        """Parse Zipkin's metrics page; None if it does not count storage requests."""
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
    """Delays requests, for one connection to one Zipkin."""

    def __init__(self, page: Callable[[], str], most: int, patience: float) -> None:
        """`page` fetches Zipkin's metrics page, or an empty text; at most `most` bytes may be in Zipkin's memory.

        If the storage has not caught up after `patience` seconds, Zipkin counts as unavailable.
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
        """Wait until a request of `size` bytes may be posted; raises Unavailable if the storage does not catch up."""
        time.sleep(max(0.0, self._rests_until - time.monotonic()))
        if self._posted and self._posted + size > self._most:
            self._catch_up()
            self._posted = 0

    def note(self, size: int, seconds: float) -> None:
        """Record a request that Zipkin has accepted, and its duration in seconds."""
        self._posted += size
        if seconds > _SLOW_SECONDS:
            self._rests_until = time.monotonic() + min(seconds, self._patience)

    def _catch_up(self) -> None:
        """Wait until the storage has answered all but one of the requests it has been sent by now."""
        begin = self._look()
        if begin is None:
            if not self._said:
                self._said = True
                _log.info("Zipkin does not report pending storage requests: requests are paced by their duration.")
            return
        wanted = begin.answered + begin.active - _LATE

        def behind() -> bool:
            now = self._look()
            # After a restart Zipkin counts from 0, and has nothing in memory.
            return now is not None and begin.answered <= now.answered < wanted

        if begin.answered < wanted:
            Retrying(
                retry=retry_if_result(bool),
                wait=wait_exponential(0.02, max=0.2),
                stop=stop_after_delay(self._patience),
                retry_error_callback=_give_up,
            )(behind)

    def _look(self) -> Storage | None:
        now = Storage.read(self._page())
        if now and self._last:
            self._failed += max(0.0, now.failed - self._last.failed)
        self._last = now
        if self._failed and time.monotonic() >= self._says_again:
            _log.warning(
                "Zipkin's storage refused %d requests or answered them too late: spans may be missing in Zipkin "
                "(`tracelink verify` finds them).",
                self._failed,
            )
            self._failed, self._says_again = 0.0, time.monotonic() + _QUIET_SECONDS
        return now


def _give_up(state: RetryCallState) -> bool:
    seconds = state.seconds_since_start or 0
    raise Unavailable(f"Zipkin's storage has not answered for {seconds:.0f} s; no more spans are posted until it does")
