"""The broker's disk runs full under load, and there is room again later."""

import errno
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pipeline.local import process
from pipeline.local.ports import Ports, free_port
from pipeline.local.stack import Endpoints, Stack
from tests.faults.checks import Check
from tests.faults.manifest import Load
from tests.faults.scenario import Tell
from tests.faults.servers import Servers
from tests.faults.setting import CUTS, Setting, setting
from tests.faults.special.memory import MIB
from tests.faults.traffic import Shape, messages, new_run
from tests.faults.verdict import verdict
from tests.kit.waiting import wait_for

_NAME = "disk full"
_SPARE_SECONDS = 40.0
_HALT_SECONDS = 30.0


class _NotMounted(Exception):
    """There is no small disk to be had here."""


def run_disk(
    seed: int,
    servers: Servers,
    folder: Path,
    tell: Tell = lambda _: None,
    *,
    seconds: float = 15.0,
    rate: float = 300.0,
    disk: int = 256 * MIB,
) -> list[Check]:
    """Fill the disk of a Kafka of our own a third into the load, and make room once it has halted.

    Where a file system cannot be mounted, there is a single check that says so.
    """
    stack = Stack(folder / "small-disk", ports=Ports(kafka=free_port()), only=("kafka",))
    data = stack.directory / "data" / "kafka"
    with ExitStack() as resources:
        try:
            resources.enter_context(_small_disk(data, disk))
        except _NotMounted as reason:
            tell(f"{_NAME}: not run, {reason}")
            return [Check(_NAME, (), f"not run: {reason}")]
        resources.callback(stack.stop)
        endpoints = Endpoints(stack.start().kafka, servers.endpoints.zipkin, servers.endpoints.elasticsearch)
        own = Servers(endpoints, stack)
        place = resources.enter_context(setting(own, folder))
        shape = Shape(rate=rate, seconds=seconds)
        planned = messages(seed, shape, run=new_run(), spare=_SPARE_SECONDS)
        load = Load(endpoints.kafka, place.prefix, planned)
        load.start()
        filled = _fill_and_make_room(place, load, data, rate * seconds / 3, tell)
        manifest = load.finish(seconds)
        tell(f"{len(manifest.sent)} messages sent, draining")
        checks, _ = verdict(place, manifest, CUTS, same_parts=False, gives_up=True)
        return [filled, *checks]


def _fill_and_make_room(place: Setting, load: Load, data: Path, sent: float, tell: Tell) -> Check:
    """Leave no room until the broker has halted for it; then it comes back, and every partition goes on."""
    wait_for("a third of the load", lambda: len(load.manifest.sent) >= sent)
    broker = place.servers.find("kafka")
    ballast = data / "ballast"
    before = shutil.disk_usage(data).used
    with place.server_away("kafka"):
        _fill(ballast)
        tell("the disk is full")
        began = time.monotonic()
        try:
            wait_for("the broker to halt", lambda: not process.is_alive(broker), seconds=_HALT_SECONDS)
        except AssertionError as missed:
            return Check(_NAME, (str(missed),))
        finally:
            ballast.unlink()
        tell(f"the broker halted after {time.monotonic() - began:.1f} s, and there is room again")
        started = time.time()
    back = place.recovered_from_start(started)
    looked_at = f"{before / MIB:.0f} MiB of logs, halted, every partition went on {back:.1f} s after its start"
    return Check(_NAME, (), looked_at)


def _fill(ballast: Path) -> None:
    """Write until there is no room."""
    block = bytes(MIB)
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(block)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


@contextmanager
def _small_disk(where: Path, size: int) -> Iterator[None]:
    """Mount a file system of its own size while the context lasts; raises _NotMounted."""
    where.mkdir(parents=True, exist_ok=True)
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if not mount or not umount or os.geteuid() != 0:
        raise _NotMounted("only root mounts a file system")
    mounted = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={size}", "tracelink-test", str(where)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        raise _NotMounted(" ".join(mounted.stderr.split()))
    try:
        yield
    finally:
        # Whoever still has a file open there must not keep it mounted.
        subprocess.run([umount, "--lazy", str(where)], check=True)
