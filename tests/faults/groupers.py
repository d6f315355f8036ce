"""The faults of the workers that group errors."""

import signal
from random import Random

from pipeline.failpoints import Failpoint
from pipeline.runtime.watchdog import STUCK_EXIT_CODE
from tests.faults.fault import REACHED_SECONDS, Act, Fault, causing, kill_at, stop_at, terminate
from tests.faults.setting import Setting
from tests.kit.children import Child
from tests.kit.waiting import wait_for

_SUCH_A_WORKER = "a worker that groups errors"
_TAKES_OVER = "grouping the errors of partitions"


def _grouper(setting: Setting, chance: Random) -> Child:
    return chance.choice([grouper for grouper in setting.groupers if grouper.running])


def _kill_at(point: Failpoint) -> Act:
    def act(setting: Setting, chance: Random) -> None:
        victim = _grouper(setting, chance)
        victim.wait_until_ready()
        kill_at(victim, point)

    return act


def _kill_starting(point: Failpoint) -> Act:
    """Kill a worker, and its successor at a point that it comes to as it gets partitions."""

    def act(setting: Setting, chance: Random) -> None:
        victim = _grouper(setting, chance)
        with causing():  # a worker whose partitions have none yet reads nothing
            wait_for("problems in every partition", setting.problems_everywhere, seconds=REACHED_SECONDS)
        with setting.away(victim), causing(victim):
            victim.kill()
            victim.start(point)
            assert victim.wait(REACHED_SECONDS), f"{victim.name} did not come to {point}"

    return act


def _zombie(point: Failpoint) -> Act:
    def act(setting: Setting, chance: Random) -> None:
        for grouper in setting.groupers:
            grouper.wait_until_ready()
        victim = _grouper(setting, chance)
        (other,) = (grouper for grouper in setting.groupers if grouper is not victim)
        before = len(other.output())
        stop_at(victim, point)
        all_of_them = f"{_TAKES_OVER} {list(range(setting.partitions))}"
        wait_for(f"{other.name} to take over", lambda: all_of_them in other.output()[before:], seconds=REACHED_SECONDS)
        log, said = victim.log, len(victim.output())
        victim.send(signal.SIGCONT)
        wait_for(
            f"{victim.name} to join anew or to end",
            lambda: victim.log != log or _TAKES_OVER in victim.output()[said:],
            seconds=REACHED_SECONDS,
        )

    return act


def _hang(setting: Setting, chance: Random) -> None:
    """Have the loop hang: nobody notices but the worker's own watch, which ends it."""
    victim = _grouper(setting, chance)
    with setting.away(victim):
        victim.order(Failpoint.WORKER_POLLED, "HANG")
        assert victim.wait(REACHED_SECONDS), f"{victim.name} hangs and does not end"
        assert not victim.running
        assert victim.ends[-1] == STUCK_EXIT_CODE, f"{victim.name} ended with {victim.ends[-1]}"


def _terminate(setting: Setting, chance: Random) -> None:
    victim = _grouper(setting, chance)
    victim.wait_until_ready()
    with setting.away(victim):
        terminate(victim)


GROUPERS = (
    *(
        Fault(
            f"kill-{name}", f"kill -9 of a worker that groups errors, {about}", _kill_at(point), times=20, groupers=True
        )
        for name, point, about in (
            ("alerts-polled", Failpoint.WORKER_POLLED, "with errors in hand"),
            ("alerts-grouped", Failpoint.WORKER_ADVANCED, "before it sends what they made"),
            ("alerts-before-commit", Failpoint.BEFORE_COMMIT, "before its commit"),
            ("alerts-committed", Failpoint.WORKER_COMMITTED, "after its commit"),
        )
    ),
    *(
        Fault(
            f"kill-{name}",
            f"kill -9 of a worker that groups errors, {about}",
            _kill_starting(point),
            times=20,
            groupers=True,
        )
        for name, point, about in (
            ("alerts-assigning", Failpoint.WORKER_ASSIGNING, "as it gets partitions"),
            ("alerts-restoring", Failpoint.WORKER_RESTORING, "as it reads their problems"),
        )
    ),
    *(
        Fault(
            f"zombie-{name}",
            f"SIGSTOP of {_SUCH_A_WORKER} until another has its partitions, then SIGCONT",
            _zombie(point),
            times=20,
            groupers=True,
        )
        for name, point in (
            ("alerts-grouped", Failpoint.WORKER_ADVANCED),
            ("alerts-before-commit", Failpoint.BEFORE_COMMIT),
        )
    ),
    Fault("alerts-hang", f"{_SUCH_A_WORKER} hangs: it ends itself", _hang, groupers=True, gives_up=True),
    Fault("terminate-alerts", f"SIGTERM of {_SUCH_A_WORKER}", _terminate, groupers=True),
)
