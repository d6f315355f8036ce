"""One run: a setting, seeded traffic, faults at seeded moments, a drain, and the checks."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from random import Random
from uuid import uuid4

from tests.faults.checks import Check, Checker
from tests.faults.faults import Fault
from tests.faults.manifest import Load
from tests.faults.outcome import collect
from tests.faults.servers import Servers
from tests.faults.setting import CUTS, SESSION_SECONDS, TRANSACTION_SECONDS, Setting, setting
from tests.faults.traffic import Shape, messages
from tests.kit.waiting import wait_for
from tracelink.kafka import connect
from tracelink.settings import KafkaSettings

_DRAIN_SECONDS = 180.0
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
    run_id = f"f{uuid4().hex[:7]}"
    planned = messages(plan.seed, shape, run=run_id, spare=_SPARE_SECONDS * len(plan.faults))
    with setting(servers, folder, workers=plan.workers, partitions=plan.partitions) as place:
        load = Load(servers.endpoints.kafka, place.prefix, planned)
        load.start()
        started = time.monotonic()
        happened = _disturb(plan, shape, place, chance, tell)
        manifest = load.finish(shape.seconds)
        tell(f"{len(manifest.sent)} messages sent in {time.monotonic() - started:.0f} s, draining")
        drained = drain(place)
        traces = {sent.message.record.trace for sent in manifest.sent if sent.message.record}
        outcome = collect(servers.endpoints.kafka, place.prefix, servers.endpoints.elasticsearch, place.indices, traces)
        books = books_balance(place)
        checker = Checker(manifest, outcome, place.prefix, CUTS)
        checks = [
            happened,
            drained,
            *checker.all(
                same_parts=not any(fault.parts_differ for fault in plan.faults),
                zipkin=not any(fault.zipkin_loses for fault in plan.faults),
            ),
            books,
            _recoveries(place),
            no_process_gives_up(place, excused=any(fault.gives_up for fault in plan.faults)),
        ]
        return Result(checks, place.recoveries)


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


def drain(place: Setting) -> Check:
    """Wait until every group has committed up to the end of what it reads."""
    admin = connect(KafkaSettings(kafka_bootstrap_servers=place.servers.endpoints.kafka))
    seen: dict[str, int] = {}

    def done() -> bool:
        seen.update(place.lags(admin))
        return not any(seen.values())

    started = time.monotonic()
    try:
        wait_for("all groups at the end", done, seconds=_DRAIN_SECONDS)
    except AssertionError:
        return Check("lag is 0 in the end", tuple(f"{group} is {lag} behind" for group, lag in seen.items() if lag))
    return Check("lag is 0 in the end", (), f"after {time.monotonic() - started:.1f} s")


def books_balance(place: Setting) -> Check:
    """Hold the metrics' equations in every process that lives."""
    against: list[str] = []

    def balanced() -> bool:
        against[:] = [
            f"{child.name}: {left:.0f} is not {right:.0f}"
            for child in place.children
            for left, right in [_equation(child.metrics())]
            if left != right
        ]
        return not against

    try:
        wait_for("the books to balance", balanced, seconds=10)
    except AssertionError:
        return Check("the metrics' books balance", tuple(against))
    return Check("the metrics' books balance", (), f"{len(place.children)} processes")


def _equation(metrics: dict[str, float]) -> tuple[float, float]:
    def total(name: str) -> float:
        return sum(value for sample, value in metrics.items() if sample.startswith((f"{name}{{", f"{name} ")))

    join = total("tracelink_join_records_total") - (
        total("tracelink_join_joined_records_total")
        + total("tracelink_join_dead_letters_total")
        + total("tracelink_join_open_records")
        + total("tracelink_join_given_back_records_total")
    )
    sinks = total("tracelink_sink_parts_received_total") - total("tracelink_sink_parts_total")
    return join + sinks, 0


def _recoveries(place: Setting) -> Check:
    """Hold the bound on the time that a fault keeps partitions from going on."""
    slow = [f"{what}: {seconds:.1f} s" for what, seconds in place.recoveries if seconds > RECOVERY_BOUND]
    shown = ", ".join(f"{what}: {seconds:.1f} s" for what, seconds in place.recoveries)
    return Check(f"every partition goes on within {RECOVERY_BOUND:.0f} s", tuple(slow), shown or "nothing to recover")


def no_process_gives_up(place: Setting, *, excused: bool = False) -> Check:
    """No process ends by itself, but where a fault excuses it."""
    given_up = [
        f"{child.name} ended with {code}: {child.output()[-300:]}"
        for child in place.children
        for code in child.ends
        if code > 0
    ]
    return Check(
        "no process gives up",
        () if excused else tuple(given_up),
        f"{len(given_up)} did, as they may" if given_up else "none did",
    )
