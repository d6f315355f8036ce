"""What special scenarios share: the drain and all checks at the end, and how much memory a process took."""

from pathlib import Path

import psutil

from tests.faults.batch_join import Cuts
from tests.faults.checks import Check, Checker
from tests.faults.manifest import Manifest
from tests.faults.outcome import Outcome, collect
from tests.faults.scenario import books_balance, drain, no_process_gives_up
from tests.faults.setting import Setting
from tests.kit.pipeline import processes_of

MIB = 1024 * 1024


def traces_of(manifest: Manifest) -> set[str]:
    """Name the traces that were sent, for Zipkin to be asked for them."""
    return {sent.message.record.trace for sent in manifest.sent if sent.message.record}


def verdict(
    place: Setting, manifest: Manifest, cuts: Cuts, *, same_parts: bool = True, gives_up: bool = False
) -> tuple[list[Check], Outcome]:
    """Drain, and hold what was sent against what there is; `gives_up` where processes may end with an error."""
    drained = drain(place)
    endpoints = place.servers.endpoints
    outcome = collect(endpoints.kafka, place.prefix, endpoints.elasticsearch, place.indices, traces_of(manifest))
    checker = Checker(manifest, outcome, place.prefix, cuts)
    ends = [] if gives_up else [no_process_gives_up(place)]
    return [drained, *checker.all(same_parts=same_parts), books_balance(place), *ends], outcome


def joins(place: Setting) -> list[psutil.Process]:
    """Find the processes of the join's workers that run now."""
    return [process for process in processes_of(place.environment) if "join" in process.cmdline()]


def peak(process: psutil.Process) -> int:
    """Return the most memory, in bytes, that a process has ever had since its start, as the kernel counts it."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kilobytes) * 1024
