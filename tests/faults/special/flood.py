"""A flood of records whose windows stay open for long: the worker's memory stays within its bounds all the same."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from tests.faults.batch_join import Cuts
from tests.faults.checks import Check
from tests.faults.manifest import Load, Manifest
from tests.faults.outcome import Stored
from tests.faults.scenario import Tell
from tests.faults.servers import Servers
from tests.faults.setting import Setting, setting
from tests.faults.special.heavier import Heavier
from tests.faults.special.memory import MIB, peak, processes
from tests.faults.traffic import Message, Shape, messages, new_run
from tests.faults.verdict import verdict
from tests.faults.wire import read_part
from tests.kit.waiting import wait_for

_CUTS = Cuts(idle_gap=10_000, max_age=60_000, max_records=20_000)
_SAMPLE_EVERY = 0.1
_OPEN = "tracelink_join_open_bytes{"


def run_flood(
    seed: int,
    servers: Servers,
    folder: Path,
    tell: Tell = lambda _: None,
    *,
    size: int = 20_000,
    padding: int = 6000,
    seconds: float = 8.0,
    workers: int = 1,
    max_open_bytes: int = 2 * MIB,
    most_memory: int = 90 * MIB,
) -> list[Check]:
    """Send `size` messages of `padding` bytes and more within `seconds`, which is less than their windows last.

    `most_memory` bounds what a worker's memory may grow by from its start: less than the flood, all of which would be
    open else and take half as much again. There is more to it than the open windows: what is fetched ahead, what waits
    for the other input, and what has closed and is on its way out, each of them in several copies. The slower the
    machine, the more of it is in one turn of the loop.
    """
    shape = Shape(rate=size / seconds, seconds=seconds, late=0, late_errors=0)
    made = messages(seed, shape, run=new_run())
    planned = list(map(Heavier(padding, "spans", "logs"), made))
    with setting(
        servers,
        folder,
        workers=workers,
        TRACELINK_MAX_OPEN_BYTES=str(max_open_bytes),
        TRACELINK_IDLE_GAP=str(_CUTS.idle_gap / 1000),
        TRACELINK_ROOT_GRACE="0",
        TRACELINK_MAX_AGE=str(_CUTS.max_age / 1000),
        TRACELINK_MAX_TRACE_RECORDS=str(_CUTS.max_records),
    ) as place:
        before = {process.pid: peak(process) for process in processes(place, "join")}
        with _watched(place) as most:
            manifest = _send(servers.endpoints.kafka, place.prefix, planned)
            tell(f"{len(manifest.sent)} messages sent, draining")
            checks, outcome = verdict(place, manifest, _CUTS)
        grown = [peak(process) - before[process.pid] for process in processes(place, "join") if process.pid in before]
        flood = sum(len(one.value or b"") for one in outcome.inputs)
        return [*checks, _held(most, max_open_bytes), _pressed(outcome.traces), _memory(grown, most_memory, flood)]


def _send(servers: str, prefix: str, planned: list[Message]) -> Manifest:
    load = Load(servers, prefix, planned)
    load.start()
    wait_for("the load to be sent", lambda: len(load.manifest.sent) == len(planned), seconds=60)
    return load.finish(0)


@contextmanager
def _watched(place: Setting) -> Iterator[Mapping[str, float]]:
    """Note the most bytes that each worker has had open, in all its partitions together."""
    most: dict[str, float] = {}
    over = Event()

    def run() -> None:
        while not over.wait(_SAMPLE_EVERY):
            for worker in place.workers:
                first, second = (_open_bytes(worker.metrics()) for _ in range(2))
                # The worker sets its partitions' gauges one after another: between two of them they are of two moments.
                if first == second:
                    most[worker.name] = max(most.get(worker.name, 0), sum(first.values()))

    thread = Thread(target=run, name="watch")
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


def _open_bytes(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name.startswith(_OPEN)}


def _held(most: Mapping[str, float], limit: int) -> Check:
    """Open windows never have more than their share.

    There is nothing to add to the limit: what a poll brings is over it only until the same turn of the loop has closed
    the oldest parts, and the metric is set after that.
    """
    against = tuple(f"{name} had {size / MIB:.2f} MiB open" for name, size in most.items() if size > limit)
    shown = ", ".join(f"{name} {size / MIB:.2f}" for name, size in sorted(most.items()))
    return Check(f"no more than {limit / MIB:.0f} MiB are open in a worker", against, f"at most {shown} MiB")


def _pressed(traces: list[Stored]) -> Check:
    """The limit was met: else it was not tested."""
    reasons = Counter(read_part(message.value or b"").reason for message in traces)
    against = () if reasons["PRESSURE"] else ("none did",)
    return Check("parts close because memory is short", against, str(dict(reasons)))


def _memory(grown: list[int], most: int, flood: int) -> Check:
    against = tuple(f"a worker grew by {size / MIB:.0f} MiB" for size in grown if size > most)
    if not grown:
        against = ("no worker lived through it",)
    shown = ", ".join(f"{size / MIB:.0f}" for size in grown)
    return Check(
        f"a worker grows by {most / MIB:.0f} MiB at most", against, f"{shown} MiB, in a flood of {flood / MIB:.0f} MiB"
    )
