"""The process of a sink."""

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from prometheus_client import CollectorRegistry

from pipeline.runtime.process import run_process
from pipeline.settings import names_of
from sinks.base.contract import Sink
from sinks.base.metrics import SinkMetrics
from sinks.base.runner import Runner
from sinks.base.settings import SinkSettings

_log = logging.getLogger(__name__)

# Allocations until the garbage collector runs. Two batches have fewer objects, and no cycles. With the default of 700
# the collector takes a quarter of the CPU time, with 50,000 a twelfth.
_COLLECT_AFTER = 500_000


def run(
    name: str, settings: SinkSettings, topics: tuple[str, ...], make: Callable[[SinkMetrics, CollectorRegistry], Sink]
) -> None:
    """Run a sink until it is stopped, or a replay is drained; see `run_process`. Raises what `Runner.run` raises.

    The target may be down at start: the process is not ready until it answers.
    """
    gc.set_threshold(_COLLECT_AFTER)
    logging.getLogger("elastic_transport").setLevel(logging.ERROR)  # it logs every request and every failure

    @contextmanager
    def runner(registry: CollectorRegistry) -> Iterator[Runner]:
        metrics = SinkMetrics(registry, name)
        with closing(make(metrics, registry)) as sink:
            _log.info("sink %s reads %s", name, " and ".join(topics))
            yield Runner(name, sink, topics, settings, metrics)

    run_process(settings, runner, Runner.run, kafka=settings, topics=(*topics, names_of(settings).dead_letters))
