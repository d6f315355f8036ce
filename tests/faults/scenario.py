"""One run: a setting, seeded traffic, faults at seeded moments, a drain, and the checks."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from random import Random

from tenacity import Retrying, retry_if_result, stop_after_attempt

from tests.faults.checks import Check
from tests.faults.fault import Fault, NotCaused
from tests.faults.manifest import Load
from tests.faults.recovery import bound, within
from tests.faults.servers import Servers
from tests.faults.setting import CUTS, SESSION_SECONDS, TRANSACTION_SECONDS, Setting, setting
from tests.faults.traffic import Shape, messages, new_run
from tests.faults.verdict import verdict

_SPARE_SECONDS = 15
_SPARE_SECONDS_OF_SERVERS = 90
"""A server's restart may take a minute, and the partitions must have load until the last fault is over."""
_ATTEMPTS = 3

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: the same plan makes the same traffic and the same faults."""

    seed: int
    faults: Sequence[Fault]
    shape: Shape = field(default_factory=Shape)
    workers: int = 3
    partitions: int = 6
    forked: bool = False
    """Whether processes are forked: a recovery is then shorter than a user's."""

    @property
    def groupers(self) -> int:
        """Workers that group errors: two where a fault is about them, for one to take over from the other."""
        return 2 if any(fault.groupers for fault in self.faults) else 1


@dataclass(frozen=True, slots=True)
class Result:
    """What a run has shown."""

    checks: list[Check]
    recoveries: list[tuple[str, float]] = field(default_factory=list)
    """A fault, and the seconds until every partition went on."""
    not_caused: list[str] = field(default_factory=list)
    """Faults that did not come about, and servers that died of something else: to be run again."""

    @property
    def ok(self) -> bool:
        """Tell whether no promise was broken."""
        return all(check.ok for check in self.checks)


def run_until_caused(attempt: Callable[[], Result]) -> Result:
    """Run again, twice at most, what broke no promise and did not cause its faults; return the last result."""
    last: Result = Retrying(
        retry=retry_if_result(lambda result: result.ok and result.not_caused),
        stop=stop_after_attempt(_ATTEMPTS),
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )(attempt)
    return last


def with_servers(result: Result, servers: Servers) -> Result:
    """Add what became of the servers: one that was overrun breaks a promise, any other end is not the pipeline's."""
    overrun = [end for end in servers.ends if "out of memory" in end]
    died = [end for end in servers.ends if end not in overrun]
    servers.ends.clear()
    check = Check("no server is overrun", tuple(overrun), f"{len(died)} died of something else" if died else "none is")
    return replace(result, checks=[*result.checks, check], not_caused=[*result.not_caused, *died])


def run(plan: Plan, servers: Servers, folder: Path, tell: Tell = lambda _: None) -> Result:
    """Run a plan; the processes' logs are in the folder."""
    shape = reduce(lambda shape, fault: fault.shape(shape), plan.faults, plan.shape)
    chance = Random(f"{plan.seed} faults")
    spare = sum(_SPARE_SECONDS_OF_SERVERS if fault.own_servers else _SPARE_SECONDS for fault in plan.faults)
    planned = messages(plan.seed, shape, run=new_run(), spare=spare)
    with setting(
        servers,
        folder,
        workers=plan.workers,
        groupers=plan.groupers,
        partitions=plan.partitions,
        forked=plan.forked,
    ) as place:
        load = Load(servers.endpoints.kafka, place.prefix, planned)
        load.start()
        started = time.monotonic()
        happened, not_caused = _disturb(plan, shape, place, load, chance, tell)
        manifest = load.finish(shape.seconds)
        tell(f"{len(manifest.sent)} messages sent in {time.monotonic() - started:.0f} s, draining")
        checks, _ = verdict(
            place,
            manifest,
            CUTS,
            same_parts=not any(fault.parts_differ for fault in plan.faults),
            zipkin=not any(fault.zipkin_loses for fault in plan.faults),
            gives_up=any(fault.gives_up for fault in plan.faults),
        )
        gone_on = within(place.recoveries, bound(SESSION_SECONDS, TRANSACTION_SECONDS))
        recoveries = [(one.fault, one.seconds) for one in place.recoveries]
        return with_servers(Result([happened, *checks, gone_on], recoveries, not_caused), servers)


def _disturb(  # noqa: PLR0917 - a run's parts
    plan: Plan, shape: Shape, place: Setting, load: Load, chance: Random, tell: Tell
) -> tuple[Check, list[str]]:
    """Cause the faults one after the other, spread over the load; return also those that did not come about."""
    against, not_caused = [], []
    began = time.monotonic()
    acting = list(plan.faults)
    for number, fault in enumerate(acting):
        at = began + shape.seconds * (number + chance.random() * 0.5) / (len(acting) + 1) + 0.5
        while time.monotonic() < at:
            time.sleep(min(0.05, max(0.0, at - time.monotonic())))
        tell(f"{time.monotonic() - began:5.1f} s  {fault.name}: {fault.about}")
        place.fault = fault.name
        try:
            fault.act(place, chance)
        except NotCaused as missed:
            not_caused.append(f"{fault.name}: {missed}")
        except AssertionError as broken:
            against.append(f"{fault.name}: {broken}")
        if not load.is_on():
            # Without records no partition goes on, so a recovery says nothing.
            not_caused.append(f"{fault.name}: the load ended before it was over")
            place.recoveries = [one for one in place.recoveries if one.fault != fault.name]
    check = Check("each fault ends as it must", tuple(against), ", ".join(fault.name for fault in acting))
    return check, not_caused
