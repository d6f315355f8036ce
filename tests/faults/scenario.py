"""One run: a setting, seeded traffic, faults at seeded moments, a drain, and the checks."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from random import Random

from tests.faults.checks import Check
from tests.faults.fault import Fault
from tests.faults.manifest import Load
from tests.faults.servers import Servers
from tests.faults.setting import CUTS, SESSION_SECONDS, TRANSACTION_SECONDS, Setting, setting
from tests.faults.traffic import Shape, messages, new_run
from tests.faults.verdict import verdict

_SPARE_SECONDS = 15
_ABORT_SCAN_SECONDS = 1.0
RECOVERY_BOUND = max(SESSION_SECONDS, TRANSACTION_SECONDS + _ABORT_SCAN_SECONDS) + 5
"""Seconds within which all partitions go on after a fault; what is read again is read within a second here."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: the same plan makes the same traffic and the same faults."""

    seed: int
    faults: Sequence[Fault]
    shape: Shape = field(default_factory=Shape)
    workers: int = 3
    partitions: int = 6

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

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)


def run(plan: Plan, servers: Servers, folder: Path, tell: Tell = lambda _: None) -> Result:
    """Run a plan; the processes' logs are in the folder."""
    shape = reduce(lambda shape, fault: fault.shape(shape), plan.faults, plan.shape)
    chance = Random(f"{plan.seed} faults")
    planned = messages(plan.seed, shape, run=new_run(), spare=_SPARE_SECONDS * len(plan.faults))
    with setting(servers, folder, workers=plan.workers, groupers=plan.groupers, partitions=plan.partitions) as place:
        load = Load(servers.endpoints.kafka, place.prefix, planned)
        load.start()
        started = time.monotonic()
        happened = _disturb(plan, shape, place, chance, tell)
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
        return Result([happened, *checks, _recoveries(place)], place.recoveries)


def _disturb(plan: Plan, shape: Shape, place: Setting, chance: Random, tell: Tell) -> Check:
    """Cause the faults one after the other, spread over the load; each must take place."""
    against = []
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
        except AssertionError as missed:
            against.append(f"{fault.name}: {missed}")
    return Check("the faults took place", tuple(against), ", ".join(fault.name for fault in acting))


def _recoveries(place: Setting) -> Check:
    """Hold the bound on the time that a fault keeps partitions from going on."""
    slow = [f"{what}: {seconds:.1f} s" for what, seconds in place.recoveries if seconds > RECOVERY_BOUND]
    shown = ", ".join(f"{what}: {seconds:.1f} s" for what, seconds in place.recoveries)
    return Check(f"every partition goes on within {RECOVERY_BOUND:.0f} s", tuple(slow), shown or "nothing to recover")
