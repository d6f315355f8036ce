"""Who has a worker's name in its group, by what the coordinator says of its members."""

from collections.abc import Iterator
from itertools import chain, repeat
from threading import Event
from types import SimpleNamespace

import pytest

from streams.alerts.settings import AlertSettings
from streams.worker import clients
from streams.worker.clients import Clients

_SETTINGS = AlertSettings.load(instance_id="a", session_timeout="0.2")
_Holders = Iterator[str | None]


class _Admin:
    """A coordinator that knows, each time that it is asked, the next member of the name `a`, or none."""

    def __init__(self, holders: _Holders, asked: Event) -> None:
        self._holders, self._asked = holders, asked

    def describe_consumer_groups(self, groups: list[str], *, request_timeout: float) -> object:
        assert groups == ["group"]
        assert request_timeout
        self._asked.set()
        holder = next(self._holders)
        members = [SimpleNamespace(group_instance_id="b", member_id="b-1")]
        members += [] if holder is None else [SimpleNamespace(group_instance_id="a", member_id=holder)]
        return {"group": SimpleNamespace(result=lambda: SimpleNamespace(members=members))}


@pytest.mark.parametrize(
    ("holders", "found"),
    [
        ([None], False),
        (["a-1"], False),  # it was that itself
        (["a-3"] * 2 + [None], False),  # itself, too, and never told: it times out
        (["a-3"], True),
    ],
)
def test_a_member_that_outlives_its_session_is_another_worker(
    monkeypatch: pytest.MonkeyPatch, holders: list[str | None], *, found: bool
) -> None:
    admin = _Admin(chain(holders, repeat(holders[-1])), Event())
    monkeypatch.setattr(clients, "connect", lambda _: admin)
    monkeypatch.setattr(clients, "_LOOK_EVERY", 0.01)
    assert Clients(_SETTINGS, "group").has_rival({"a-1", "a-2"}, Event()) is found


def test_one_that_is_told_to_stop_does_not_wait_for_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    stopping = Event()  # set as the question is asked
    monkeypatch.setattr(clients, "connect", lambda _: _Admin(repeat("a-3"), stopping))
    assert Clients(_SETTINGS, "group").has_rival(set(), stopping) is False
