"""The progress of a peer: now and then it prints the number of records done on a line of its own."""

import time

_EVERY = 0.1
_REST = 60.0


class Saying:
    """Prints the number of records done, at a limited rate."""

    def __init__(self) -> None:
        self._said = 0.0

    def say(self, done: int, *, last: bool = False) -> None:
        """Print the number, if the last output is long enough ago or this is the last number."""
        if (now := time.monotonic()) - self._said > _EVERY or last:
            print(done, flush=True)  # noqa: T201 - its answer
            self._said = now


def rest() -> None:
    """Sleep: the parent process reads the memory of this one and stops it."""
    time.sleep(_REST)
