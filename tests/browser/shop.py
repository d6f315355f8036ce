"""The demo's shop on a pipeline of its own, with customers who order when a test says so."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from threading import Event

from pipeline.local.ports import free_port
from pipeline.local.stack import Endpoints
from producers.demo.services import FAILS_EVERY, TRACE_ID_HEADER
from producers.demo.shop import shop as run_shop
from tests.kit.http import http_request
from tests.kit.live import delete_indices
from tests.kit.pipeline import pipeline_environment, up
from tests.kit.processes import running

_ORDER = {"customer": "Ada", "item": "lamp", "quantity": 2}


@dataclass
class Shop:
    """A running shop whose first charge fails, and each twelfth after it."""

    page: str
    """The URL of `tracelink page`."""
    environment: dict[str, str]
    """Servers and prefixes of its pipeline, for further processes."""
    _orders: str
    failures: int = 0
    """How often it has failed: so often the problem will have been seen."""

    def order(self) -> tuple[str, bool]:
        """Order two lamps; return the trace id, and True if the shop has failed."""
        answer = http_request("POST", f"{self._orders}/orders", json=_ORDER)
        failed = answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        self.failures += failed
        return answer.headers[TRACE_ID_HEADER], failed

    def order_until_it_fails(self) -> str:
        """Order until the shop fails; return the trace id of that order."""
        for _ in range(FAILS_EVERY):
            trace_id, failed = self.order()
            if failed:
                return trace_id
        raise AssertionError(f"none of {FAILS_EVERY} orders has failed")

    @contextmanager
    def further_page(self, log: Path, **settings: str) -> Iterator[str]:
        """Run `tracelink page` once more, with other settings, and give its URL."""
        listen = f"127.0.0.1:{free_port()}"
        environment = self.environment | {"TRACELINK_PAGE_LISTEN": listen} | settings
        with running("page", log=log, **environment) as process:
            process.wait_until_ready()
            yield f"http://{listen}"


@contextmanager
def shop(stack: Endpoints, directory: Path) -> Iterator[Shop]:
    """Run the pipeline and the shop as `tracelink demo` does, but without its load."""
    name = f"t{uuid.uuid4().hex[:8]}"
    environment = pipeline_environment(stack, f"{name}.", f"{name}-") | {"TRACELINK_IDLE_GAP": "2"}
    try:
        with (
            up(directory / "pipeline", **environment) as (_, found),
            run_shop(found["environment"], found["gateway"], directory / "logs") as services,
        ):
            services.supervisor.wait_until_ready(Event())
            yield Shop(found["page"], environment, services.url)
    finally:
        delete_indices(stack.elasticsearch, f"{name}-")
