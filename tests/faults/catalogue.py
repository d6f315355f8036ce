"""Every fault by name: those that happen in a run with others, and the scenarios that are a world of their own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.faults.checks import Check
from tests.faults.faults import FAULTS
from tests.faults.scenario import Result, Tell, with_servers
from tests.faults.servers import Servers
from tests.faults.special.disk import run_disk
from tests.faults.special.flood import run_flood
from tests.faults.special.gateway import run_gateway, run_gateway_without_kafka
from tests.faults.special.hot import run_hot
from tests.faults.special.outage import run_outage


@dataclass(frozen=True, slots=True)
class Special:
    """A scenario, and how often a campaign of twenty seeds runs it."""

    name: str
    about: str
    checks: Callable[[int, Servers, Path, Tell], list[Check]]
    times: int
    alone: bool = False
    """It takes a whole machine."""

    def run(self, seed: int, servers: Servers, folder: Path, tell: Tell) -> Result:
        """Run it; the processes' logs are in the folder."""
        return with_servers(Result(self.checks(seed, servers, folder, tell)), servers)


SPECIAL = {
    one.name: one
    for one in (
        Special("outage", "an hour's outage is caught up, one topic far ahead of the other", run_outage, 10),
        Special("flood", "windows pile up beyond max_open_bytes", run_flood, 3),
        Special("gateway", "the gateway dies at named points, at any moment, and by SIGTERM", run_gateway, 6),
        Special("gateway-without-kafka", "the broker is gone for a minute", run_gateway_without_kafka, 3),
        Special("disk-full", "the broker's disk runs full, and there is room again later", run_disk, 3),
        Special("hot-trace", "a trace of a million spans", run_hot, 1, alone=True),
    )
}

ABOUT: dict[str, str] = {fault.name: fault.about for fault in FAULTS.values()} | {
    one.name: one.about for one in SPECIAL.values()
}
"""Every fault, and what happens in it."""
