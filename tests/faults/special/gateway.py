"""The gateway dies, ends, and loses its broker, under exporters that repeat what was not answered."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from threading import Event

from pipeline.failpoints import Failpoint
from pipeline.local.ports import free_port
from tests.faults.checks import Check
from tests.faults.fault import kill_at, terminate
from tests.faults.otlp_load import OtlpLoad
from tests.faults.outcome import as_stored
from tests.faults.scenario import Tell
from tests.faults.servers import Servers
from tests.faults.setting import CUTS, Setting, setting
from tests.faults.special.memory import MIB, peak, processes
from tests.faults.traffic import Shape, messages, new_run
from tests.faults.verdict import verdict
from tests.kit.children import Child
from tests.kit.kafka import read_all
from tests.kit.processes import total
from tests.kit.waiting import wait_for

_LONGEST = 300.0
"""Seconds of traffic that are there to be sent; a scenario ends it when its faults are over."""
_SECONDS_BETWEEN = 1.5
_WORKERS = 2


@dataclass(frozen=True, slots=True)
class _Run:
    place: Setting
    gateway: Child
    load: OtlpLoad

    def checks(self, *, excused: bool = False) -> list[Check]:
        """End the load, and check what there is; parts may differ, and processes give up, if that is excused."""
        self.load.finish()
        place = self.place
        topics = ("spans", "logs", "unlinked-logs")
        kafka = place.servers.endpoints.kafka
        inputs = [as_stored(one) for name in topics for one in read_all(kafka, place.prefix + name)]
        manifest, checks = self.load.manifest(inputs, place.prefix)
        found, _ = verdict(place, manifest, CUTS, same_parts=not excused, gives_up=excused)
        return [*checks, *found]


def run_gateway(
    seed: int, servers: Servers, folder: Path, tell: Tell = lambda _: None, *, rate: float = 200, rounds: int = 2
) -> list[Check]:
    """Kill the gateway between two steps and at any moment, and end it, again and again."""
    chance = Random(f"{seed} gateway")
    with _under_load(seed, servers, folder, rate) as run:
        for _ in range(rounds):
            for point in (Failpoint.GATEWAY_PRODUCED, Failpoint.GATEWAY_ACKNOWLEDGED):
                tell(f"kill -9 of the gateway at {point}")
                kill_at(run.gateway, point)
                _taken_again(run.gateway)
            tell("kill -9 of the gateway")
            run.gateway.kill()
            _taken_again(run.gateway)
            Event().wait(chance.uniform(0, _SECONDS_BETWEEN))
            tell("SIGTERM of the gateway")
            with run.place.away(run.gateway):
                terminate(run.gateway)
            _taken_again(run.gateway)
        checks = run.checks()
        # One that dies between Kafka's answer and its own makes some.
        return [Check("senders repeat requests", () if run.load.repeats else ("none did",)), *checks]


def run_gateway_without_kafka(
    seed: int,
    servers: Servers,
    folder: Path,
    tell: Tell = lambda _: None,
    *,
    rate: float = 200,
    seconds: float = 60.0,
    most_memory: int = 32 * MIB,
) -> list[Check]:
    """Kill the broker, and start it again after `seconds`; meanwhile senders get 503, and memory does not grow.

    `most_memory` is what the gateway may grow by.
    """
    with _under_load(seed, servers, folder, rate) as run:
        (process,) = processes(run.place, "gateway")
        before = peak(process)
        with run.place.server_away("kafka"):
            servers.kill("kafka")
            tell(f"kill -9 of the broker, for {seconds:.0f} s")
            Event().wait(seconds)
            refused = _answers(run.gateway, "503", "UNAVAILABLE")
        _taken_again(run.gateway)
        grown = peak(process) - before
        return [
            Check("senders are refused meanwhile", () if refused else ("none was",), f"{refused:.0f} answers"),
            Check(
                "the gateway's memory does not grow",
                (f"{grown / MIB:.0f} MiB",) if grown > most_memory else (),
                f"by {grown / MIB:.1f} MiB, from {before / MIB:.0f} MiB",
            ),
            *run.checks(excused=True),
        ]


@contextmanager
def _under_load(seed: int, servers: Servers, folder: Path, rate: float) -> Iterator[_Run]:
    """Run a pipeline with a gateway, and clients that send to it."""
    port, grpc_port = free_port(), free_port()
    shape = Shape(rate=rate, seconds=_LONGEST, duplicates=0)
    with setting(servers, folder, workers=_WORKERS, running=False) as place:
        gateway = place.add(
            "gateway",
            TRACELINK_GATEWAY_LISTEN=f"127.0.0.1:{port}",
            TRACELINK_GATEWAY_GRPC_LISTEN=f"127.0.0.1:{grpc_port}",
        )
        place.start()
        planned = messages(seed, shape, run=new_run())
        load = OtlpLoad(f"http://127.0.0.1:{port}", f"127.0.0.1:{grpc_port}", planned)
        load.start()
        _taken_again(gateway)
        yield _Run(place, gateway, load)


def _taken_again(gateway: Child) -> None:
    """Wait until the gateway, after its start or a fault, takes requests, and some have come."""
    gateway.wait_until_ready()
    before = _answers(gateway, "200", "OK")
    wait_for("requests to be taken", lambda: _answers(gateway, "200", "OK") > before + 5)


def _answers(gateway: Child, *statuses: str) -> float:
    samples = gateway.metrics()
    return sum(total(samples, "tracelink_gateway_requests_total", status=one) for one in statuses)
