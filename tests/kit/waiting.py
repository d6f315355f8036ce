"""Waiting for a condition, with a deadline."""

from collections.abc import Callable
from typing import TypeVar

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds: far more than anything takes, since a machine that runs a whole suite stands still for tens of them."""


def wait_for(what: str, probe: Callable[[], T], *, seconds: float = PATIENCE) -> T:
    """Return the first true value of a probe; AssertionError after so many seconds without one."""
    found: T = Retrying(
        retry=retry_if_result(lambda value: not value),
        stop=stop_after_delay(seconds),
        wait=wait_fixed(0.05),
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )(probe)
    assert found, f"not within {seconds} s: {what}; last seen: {found!r}"
    return found


def eventually(probe: Callable[[], T], *, seconds: float = PATIENCE) -> T:
    """Return the first true answer of a probe whose name says what is waited for."""
    return wait_for("a true answer", probe, seconds=seconds)
