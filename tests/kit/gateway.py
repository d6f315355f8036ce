"""A gateway of a test's own, as a process."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.local.ports import free_port
from tests.kit.processes import Process, metrics, running, total


@dataclass(frozen=True)
class Running:
    """A gateway that is ready."""

    url: str
    port: int
    grpc: str
    """The address for gRPC."""
    monitoring: str
    """The base URL of its metrics."""
    process: Process

    def counted(self, name: str, **labels: str) -> float:
        """Return the sum of the gateway's metric over the samples that have these labels."""
        return total(metrics(self.monitoring), f"tracelink_gateway_{name}", **labels)


@contextmanager
def gateway(kafka: str, topic_prefix: str, folder: Path, **settings: str) -> Iterator[Running]:
    """Run `tracelink gateway` on any free port; its topics must be there."""
    port, grpc_port = free_port(), free_port()
    environment = {
        "TRACELINK_KAFKA_BOOTSTRAP_SERVERS": kafka,
        "TRACELINK_TOPIC_PREFIX": topic_prefix,
        "TRACELINK_GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "TRACELINK_GATEWAY_GRPC_LISTEN": f"127.0.0.1:{grpc_port}",
        **{f"TRACELINK_{name.upper()}": value for name, value in settings.items()},
    }
    with running("gateway", log=folder / "gateway.log", **environment) as process:
        yield Running(f"http://127.0.0.1:{port}", port, f"127.0.0.1:{grpc_port}", process.wait_until_ready(), process)
