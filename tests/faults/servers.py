"""The servers that a run uses: a local stack of its own, whose servers can die, or any that are there."""

import os
import signal
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from pipeline.local import process, state
from pipeline.local.ports import Ports, free_port, is_free
from pipeline.local.stack import Endpoints, Stack
from tests.kit.waiting import wait_for

_STOP_SECONDS = 30.0


def new_stack(directory: Path) -> Stack:
    """Lay out a stack on ports that stay the same when its servers come back."""
    return Stack(directory, ports=Ports(kafka=free_port(), zipkin=free_port(), elasticsearch=free_port()))


@dataclass(frozen=True, slots=True)
class Servers:
    """Where Kafka, Zipkin and Elasticsearch are; with a stack that a run may disturb."""

    endpoints: Endpoints
    stack: Stack | None = None
    ends: list[str] = field(default_factory=list)
    """Which servers have died by themselves, and how."""

    def kill(self, name: str) -> None:
        """Kill a server and all that it started, as a power cut would."""
        victim, port = self.find(name), self._records()[name].port
        os.killpg(victim.pid, signal.SIGKILL)
        # Threads of a process may hold its port for a moment after its end.
        wait_for(f"the end of {name}", lambda: not process.is_alive(victim) and is_free(port))

    def stop(self, name: str) -> None:
        """End a server in good order."""
        process.stop(self.find(name), _STOP_SECONDS)

    def start(self) -> None:
        """Start what does not run, where its clients look for it, and wait until it answers."""
        if self.stack:
            self.stack.start()

    def revive(self, *, but: Collection[str]) -> None:
        """Start again what has died by itself, and note it; those to be left alone are down on purpose."""
        died = [name for name in self.stack.missing() if name not in but] if self.stack else []
        if died and self.stack:
            self.ends.extend(f"{name} ended{self.stack.how_it_ended(name)}" for name in died)
            self.stack.start()

    def find(self, name: str) -> psutil.Process:
        """Find a server's process."""
        found = process.find(self._records()[name])
        assert found, f"{name} does not run"
        return found

    def _records(self) -> dict[str, state.Record]:
        assert self.stack, "these servers are not ours to disturb"
        return state.read(self.stack.directory)
