"""Who has a worker's name in its group, by what the coordinator says of its members."""

from collections.abc import Iterator
from itertools import chain, repeat
from threading import Event
from types import SimpleNamespace
from uuid import uuid4

import pytest

from streams.alerts.settings import AlertSettings
from streams.worker import clients
from streams.worker.clients import Clients

_SETTINGS = AlertSettings.load(instance_id="a", session_timeout="0.2")
_Holders = Iterator[str | None]


def _id(name: str) -> str:
    """Make a member's id as the coordinator does for a static member."""
    return f"{name}-{uuid4()}"


_FIRST, _SECOND, _THIRD = (_id("a") for _ in range(3))


class _Admin:
    """A coordinator that knows, each time that it is asked, the next member of the name `a`, or none."""

    def __init__(self, holders: _Holders, asked: Event) -> None:
        self._holders, self._asked = holders, asked

    def list_groups(self, group: str, *, timeout: float) -> list[object]:
        assert group == "group"
        assert timeout
        self._asked.set()
        holder = next(self._holders)
        ids = [_id("b"), _id("a-b"), *([] if holder is None else [holder])]
        return [SimpleNamespace(members=[SimpleNamespace(id=one) for one in ids])]


@pytest.mark.parametrize(
    ("holders", "found"),
    [
        ([None], False),
        ([_FIRST], False),  # it was that itself
        ([_THIRD] * 2 + [None], False),  # itself, too, and never told: it times out
        ([_THIRD], True),
    ],
)
def test_a_member_that_outlives_its_session_is_another_worker(
    monkeypatch: pytest.MonkeyPatch, holders: list[str | None], *, found: bool
) -> None:
    admin = _Admin(chain(holders, repeat(holders[-1])), Event())
    monkeypatch.setattr(clients, "connect", lambda _: admin)
    monkeypatch.setattr(clients, "_LOOK_EVERY", 0.01)
    assert Clients(_SETTINGS, "group").has_rival({_FIRST, _SECOND}, Event()) is found


def test_one_that_is_told_to_stop_does_not_wait_for_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    stopping = Event()  # set as the question is asked
    monkeypatch.setattr(clients, "connect", lambda _: _Admin(repeat(_THIRD), stopping))
    assert Clients(_SETTINGS, "group").has_rival(set(), stopping) is False
