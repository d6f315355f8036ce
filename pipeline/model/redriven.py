"""How often a message was sent anew after it had been a dead letter: what it becomes next must not forget that."""

from collections.abc import Iterable
from typing import Any

REDRIVEN = "tracelink.redriven"
"""Header of a message that was a dead letter before: how often, as text."""


def redriven(headers: Iterable[tuple[str, Any]] | None) -> list[tuple[str, bytes]]:
    """Return of a message's headers those that its dead letter must carry on."""
    return [(name, value) for name, value in headers or () if name == REDRIVEN and value is not None]
