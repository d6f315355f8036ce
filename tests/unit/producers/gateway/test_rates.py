"""The rate of a sender: what it may send at once, and how long it waits then."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.gateway.in_hand import Refused
from producers.gateway.rates import Rates


class _Clock:
    """A clock that a test advances."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _wait(rates: Rates, sender: str) -> int | None:
    """Return the seconds that a sender has to wait; None if it may send."""
    try:
        rates.spend(sender, 0)
    except Refused as refused:
        return refused.retry_after
    return None


def test_the_bytes_of_ten_seconds_may_come_at_once_and_then_as_many_as_the_rate_says() -> None:
    clock = _Clock()
    rates = Rates(100, clock)
    for _ in range(10):
        rates.spend("shop", 100)
    assert _wait(rates, "shop") == 1
    taken = 0
    for _ in range(1000):
        clock.now += 0.25
        if _wait(rates, "shop") is None:
            rates.spend("shop", 50)
            taken += 50
    assert 24_950 <= taken <= 25_050


def test_a_body_may_be_larger_than_what_is_left_and_its_sender_waits_the_longer() -> None:
    clock = _Clock()
    rates = Rates(100, clock)
    rates.spend("shop", 5000)
    assert _wait(rates, "shop") == 41
    clock.now += 40
    assert _wait(rates, "shop") == 1
    clock.now += 1
    assert _wait(rates, "shop") is None


def test_no_more_than_the_bytes_of_ten_seconds_are_saved() -> None:
    clock = _Clock()
    rates = Rates(100, clock)
    rates.spend("shop", 1)
    clock.now += 3600
    rates.spend("shop", 1001)
    assert _wait(rates, "shop") == 1


def test_each_sender_has_a_rate_of_its_own() -> None:
    rates = Rates(100, _Clock())
    rates.spend("shop", 2000)
    assert _wait(rates, "shop") == 11
    assert _wait(rates, "mobile") is None


@given(most=st.integers(1, 10**9), sizes=st.lists(st.integers(0, 10**9), min_size=1, max_size=20))
def test_who_waits_as_long_as_asked_may_send(most: int, sizes: list[int]) -> None:
    clock = _Clock()
    rates = Rates(most, clock)
    for size in sizes:
        clock.now += _wait(rates, "shop") or 0
        rates.spend("shop", size)


def test_a_refused_body_costs_nothing() -> None:
    clock = _Clock()
    rates = Rates(100, clock)
    rates.spend("shop", 1100)
    with pytest.raises(Refused, match="shop has sent more than 100 bytes a second") as refused:
        rates.spend("shop", 10**9)
    assert refused.value.status == 429
    clock.now += 2
    assert _wait(rates, "shop") is None
