"""What a fault is."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

from pipeline.failpoints import Failpoint
from tests.faults.setting import Setting
from tests.faults.traffic import Shape
from tests.kit.children import Child

Act = Callable[[Setting, Random], None]

REACHED_SECONDS = 60.0
DRAIN_SECONDS = 15.0


class NotCaused(Exception):
    """A fault did not come about: the run shows nothing of it, and is to be run again."""


@contextmanager
def causing(*victims: Child) -> Iterator[None]:
    """Have what does not come about in here raise NotCaused; its victims die with the orders that they still have."""
    try:
        yield
    except AssertionError as missed:
        for victim in victims:
            victim.kill()
        raise NotCaused(str(missed)) from None


def kill_at(victim: Child, point: Failpoint) -> None:
    """Have a victim kill itself where it next comes to a point; raises NotCaused where it does not come there."""
    with causing(victim):
        victim.order(point, "KILL")
        assert victim.wait(REACHED_SECONDS), f"{victim.name} did not come to {point}"


def stop_at(victim: Child, point: Failpoint) -> None:
    """Have a victim stop itself where it next comes to a point; raises NotCaused where it does not come there."""
    with causing(victim):
        victim.order(point, "STOP")
        assert victim.wait_until_stopped(REACHED_SECONDS), f"{victim.name} did not come to {point}"


def _undisturbed(_: Setting, __: Random) -> None:
    """Do nothing: the shape of the traffic is the fault."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault, and which checks it excuses."""

    name: str
    about: str
    act: Act = _undisturbed
    shape: Callable[[Shape], Shape] = lambda shape: shape
    times: int = 10
    """How often a campaign of twenty seeds has it; a named point comes at each seed."""
    own_servers: bool = False
    """It disturbs servers, which must be this run's own."""
    parts_differ: bool = False
    """Records may become visible late, so that their parts are others than those of an undisturbed run."""
    zipkin_loses: bool = False
    """Zipkin, or its storage, forgets what it has said yes to."""
    groupers: bool = False
    """It is about the workers that group errors."""
    gives_up: bool = False
    """Processes may end with an error, for their supervisor to start them again."""

    @property
    def acts(self) -> bool:
        """Tell whether it does something at a moment, or shapes the traffic."""
        return self.act is not _undisturbed


def terminate(victim: Child) -> None:
    victim.send(signal.SIGTERM)
    assert victim.wait(DRAIN_SECONDS), f"{victim.name} has not ended {DRAIN_SECONDS} s after SIGTERM"
    assert not victim.running
    assert victim.ends[-1] == 0, f"{victim.name} ended with {victim.ends[-1]} after SIGTERM"
