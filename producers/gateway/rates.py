"""How many bytes a second a sender may send."""

import math
import time
from collections.abc import Callable
from http import HTTPStatus

from producers.gateway.in_hand import Refused


class Rates:
    """The rate of each sender: a bucket that fills with `most` bytes a second, and holds those of a few seconds.

    A sender may send while its bucket is not empty, and the body of a request may be larger than what is left: so every
    body can be sent, and its sender waits the longer afterwards.
    """

    _SECONDS = 10.0
    """Bytes of so many seconds may come at once."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._levels: dict[str, tuple[float, float]] = {}
        """The bytes that a sender has left, and the time at which it had them."""

    def spend(self, sender: str, size: int) -> None:
        """Take the bytes of a body from a sender's bucket; raises Refused (429) if it is empty."""
        now = self._clock()
        full = self._SECONDS * self._most
        level, since = self._levels.get(sender, (full, now))
        level = min(full, level + (now - since) * self._most)
        if level <= 0:
            raise Refused(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"{sender} has sent more than {self._most} bytes a second: send less, or ask for more",
                retry_after=math.floor(-level / self._most) + 1,
            )
        self._levels[sender] = level - size, now
