"""The shop: runs its services as processes under a supervisor; has the expected records of an order."""

import json
import socket
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.local.supervisor import OnLine, Program, Supervisor, ignore

_CALLS = {
    "frontend": ("checkout",),
    "checkout": ("inventory", "payment"),
    "inventory": ("shipping",),
    "shipping": (),
    "payment": (),
}
_WAITING_REQUESTS = 128

SPANS = Counter({(service, "SERVER"): 1 for service in _CALLS}) + Counter(
    {(service, "CLIENT"): len(called) for service, called in _CALLS.items()}
)
"""The spans of an order, by service and kind."""

ERRORED_LINES = Counter(
    {
        ("frontend", "INFO"): 1,
        ("frontend", "ERROR"): 1,
        ("checkout", "INFO"): 1,
        ("checkout", "ERROR"): 1,
        ("inventory", "INFO"): 1,
        ("shipping", "INFO"): 1,
        ("payment", "INFO"): 1,
        ("payment", "ERROR"): 1,
    }
)
"""The log lines of an order whose payment failed, by service and level."""


@dataclass(frozen=True, slots=True)
class Shop:
    """A started shop; `url` accepts orders as soon as the supervisor reports all services as ready."""

    url: str
    supervisor: Supervisor


@contextmanager
def shop(environment: Mapping[str, str], gateway: str, logs: Path, *, notice: OnLine = ignore) -> Iterator[Shop]:
    """Run the services while the context lasts.

    `environment` has the settings with which they publish to Kafka, `gateway` is the URL of the gateway.
    """
    with ExitStack() as cleanup:
        sockets = {name: cleanup.enter_context(_listening()) for name in _CALLS}
        urls = {name: f"http://127.0.0.1:{one.getsockname()[1]}" for name, one in sockets.items()}
        variables = {**environment, "TRACELINK_SAMPLE_RATE": "1"}
        supervisor = Supervisor(
            [_program(name, one.fileno(), urls, gateway, variables) for name, one in sockets.items()],
            logs,
            notice=notice,
        )
        cleanup.callback(supervisor.stop)
        supervisor.start()
        yield Shop(urls["frontend"], supervisor)


@contextmanager
def _listening() -> Iterator[socket.socket]:
    """Open a socket for a service to inherit: its port is known before the start, and stays the same after restarts."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(_WAITING_REQUESTS)
        yield listener


def _program(
    name: str, descriptor: int, urls: Mapping[str, str], gateway: str, environment: Mapping[str, str]
) -> Program:
    peers = json.dumps({peer: urls[peer] for peer in _CALLS[name]})
    command = (sys.executable, "-P", "-m", "producers.demo.service", name, str(descriptor), peers, gateway)
    return Program(name, command, urls[name], environment, (descriptor,))
