"""Signals that end a process, raised in this one."""

import signal
from threading import Event

import pytest

from pipeline.runtime.signals import ending_by_signal, stopping_on_signal, undisturbed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_being_told_to_stop_is_noted_and_handlers_come_back(number: signal.Signals) -> None:
    before, stop = signal.getsignal(number), Event()
    with stopping_on_signal(stop.set):
        assert not stop.is_set()
        signal.raise_signal(number)
        assert stop.is_set()
    assert signal.getsignal(number) == before


def test_a_signal_that_is_ignored_stays_so() -> None:
    before, stop = signal.signal(signal.SIGHUP, signal.SIG_IGN), Event()
    try:
        with stopping_on_signal(stop.set), ending_by_signal():
            signal.raise_signal(signal.SIGHUP)
        assert not stop.is_set()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_sigterm_unwinds_like_an_exit_and_the_handler_is_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended, ending_by_signal():
        signal.raise_signal(signal.SIGTERM)
    assert ended.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before


def test_cleaning_up_is_not_disturbed_by_further_signals() -> None:
    reached = []
    with undisturbed():
        signal.raise_signal(signal.SIGINT)
        reached.append("the end")
    assert reached
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
