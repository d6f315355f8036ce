"""How a peer says how far it is: the number of records done, on a line of its own, now and then."""

import time

_EVERY = 0.1
_REST = 60.0


class Saying:
    """Prints how many records are done, not more often than can be of use."""

    def __init__(self) -> None:
        self._said = 0.0

    def say(self, done: int, *, last: bool = False) -> None:
        """Say how many are done, if it is time again or they are the last."""
        if (now := time.monotonic()) - self._said > _EVERY or last:
            print(done, flush=True)  # noqa: T201 - its answer
            self._said = now


def rest() -> None:
    """Wait for whoever has started it, who looks at its memory and stops it."""
    time.sleep(_REST)
