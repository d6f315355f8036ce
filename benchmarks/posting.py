"""A load of OTLP over HTTP: connections that post requests as fast as they are answered, or at an even rate.

usage: python -m benchmarks.posting URL SECONDS REQUESTS_PER_SECOND RESOURCE_ATTRIBUTES

It prints the number of requests that were answered so far, and at its end `p50 SECONDS`, `p95 …`, `p99 …`, `max …`.
With the rate 0 each connection posts its next request as soon as it has the answer to the last. At a rate, a request
counts from the moment at which it was due, so a receiver that falls behind does not slow down its load.
"""

import re
import sys
import time
from threading import Lock, Thread

import urllib3

from benchmarks.cases.gateway import request
from benchmarks.result import percentiles

_CONNECTIONS = 8
_PROGRESS = 0.1
_HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}


def command(url: str, seconds: float, rate: float, resource_attributes: int) -> list[str]:
    """Return the command line of a load."""
    numbers = (str(seconds), str(rate), str(resource_attributes))
    return [sys.executable, "-m", "benchmarks.posting", url, *numbers]


def latencies(output: str) -> dict[str, float]:
    """Return the percentiles that a load has printed, in seconds."""
    return {name: float(value) for name, value in re.findall(r"^(p\d+|max) (\S+)$", output, re.MULTILINE)}


class _Posts:
    """The load: requests that are due, and the durations of those that were answered."""

    def __init__(self, url: str, seconds: float, rate: float, body: bytes) -> None:
        self.answered: list[float] = []
        self.failed: list[str] = []
        self._url, self._rate, self._body = url, rate, body
        self._began = time.monotonic()
        self._until = self._began + seconds
        self._number = 0
        self._lock = Lock()

    def run(self) -> None:
        """Post over one connection until the time is up."""
        with urllib3.PoolManager(retries=False, timeout=30.0) as pool:
            while (due := self._next()) < self._until and not self.failed:
                time.sleep(max(0.0, due - time.monotonic()))
                answer = pool.request("POST", self._url, body=self._body, headers=_HEADERS)
                self.answered.append(time.monotonic() - due)
                if answer.status != 200:  # noqa: PLR2004 - HTTP's OK
                    self.failed.append(f"{answer.status}: {answer.data[:300]!r}")

    def _next(self) -> float:
        with self._lock:
            self._number += 1
            return self._began + self._number / self._rate if self._rate else time.monotonic()


def main(url: str, seconds: float, rate: float, resource_attributes: int) -> None:
    """Post for so many seconds, and print the progress and the percentiles."""
    posts = _Posts(url, seconds, rate, request(resource_attributes))
    threads = [Thread(target=posts.run) for _ in range(_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            print(len(posts.answered), flush=True)  # noqa: T201 - its answer
            thread.join(_PROGRESS)
    if posts.failed:
        sys.exit(f"A request was not taken: {posts.failed[0]}")
    for name, value in percentiles(posts.answered).items():
        print(name, value)  # noqa: T201 - its answer


if __name__ == "__main__":
    _url, _seconds, _rate, _resource_attributes = sys.argv[1:]
    main(_url, float(_seconds), float(_rate), int(_resource_attributes))
