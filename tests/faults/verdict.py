"""What is held at the end of every run: the drain, all checks, the books, and that no process gave up."""

import time
from functools import partial

from producers.gateway import metrics as gateway_metrics
from sinks.base import metrics as sink_metrics
from streams.join import metrics as join_metrics
from tests.faults.batch_join import Cuts
from tests.faults.checks import Check, Checker
from tests.faults.grouping import grouped_once
from tests.faults.manifest import Manifest
from tests.faults.outcome import Outcome, collect
from tests.faults.setting import Setting
from tests.kit.processes import total
from tests.kit.waiting import wait_for

_EQUATIONS = (join_metrics.EQUATION, sink_metrics.EQUATION, gateway_metrics.EQUATION)
_DRAIN_SECONDS = 180.0


def traces_of(manifest: Manifest) -> set[str]:
    """Name the traces that were sent, for Zipkin to be asked for them."""
    return {sent.message.record.trace for sent in manifest.sent if sent.message.record}


def verdict(
    place: Setting,
    manifest: Manifest,
    cuts: Cuts,
    *,
    same_parts: bool = True,
    zipkin: bool = True,
    gives_up: bool = False,
) -> tuple[list[Check], Outcome]:
    """Drain, and hold what was sent against what there is.

    `same_parts` and `zipkin` are false where a fault excuses these checks, `gives_up` is true where processes may end
    with an error.
    """
    drained = drain(place)
    endpoints = place.servers.endpoints
    outcome = collect(endpoints.kafka, place.prefix, endpoints.elasticsearch, place.indices, traces_of(manifest))
    checks = Checker(manifest, outcome, place.prefix, cuts).all(same_parts=same_parts, zipkin=zipkin)
    checks += grouped_once(outcome)
    ends = no_process_gives_up(place, excused=gives_up)
    return [drained, *checks, equations_hold(place), ends], outcome


def drain(place: Setting) -> Check:
    """Wait until every group has committed up to the end of what it reads."""
    lookup = place.lookup()
    seen: dict[str, int] = {}

    def done() -> bool:
        seen.update(place.lags(lookup))
        return not any(seen.values())

    started = time.monotonic()
    try:
        wait_for("all groups at the end", done, seconds=_DRAIN_SECONDS)
    except AssertionError:
        return Check("lag is 0 in the end", tuple(f"{group} is {lag} behind" for group, lag in seen.items() if lag))
    return Check("lag is 0 in the end", (), f"after {time.monotonic() - started:.1f} s")


def equations_hold(place: Setting) -> Check:
    """Hold the metrics' equations in every process that lives: nothing is open any more, so no rest may be left."""
    against: list[str] = []

    def balanced() -> bool:
        against[:] = [
            f"{child.name}: {equation.whole} is {difference:+.0f} off"
            for child in place.children
            for of in [partial(total, child.metrics())]
            for equation in _EQUATIONS
            if (difference := equation.difference(of))
        ]
        return not against

    try:
        wait_for("the books to balance", balanced, seconds=10)
    except AssertionError:
        return Check("the equations of the metrics hold", tuple(against))
    return Check("the equations of the metrics hold", (), f"{len(place.children)} processes")


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
