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

# New objects until the collector looks for cycles among them. Two batches at a time are made of fewer, and have none:
# with the usual 700 the looking would be a quarter of the work, with 50,000 a twelfth.
_COLLECT_AFTER = 500_000


def run(
    name: str, settings: SinkSettings, topics: tuple[str, ...], make: Callable[[SinkMetrics, CollectorRegistry], Sink]
) -> None:
    """Run a sink until it is told to stop, or a replay is over; see `run_process`, and what Runner.run raises.

    The target need not be there at start: the process is not ready until it answers.
    """
    gc.set_threshold(_COLLECT_AFTER)
    logging.getLogger("elastic_transport").setLevel(logging.ERROR)  # it has a line for every request, and each failure

    @contextmanager
    def runner(registry: CollectorRegistry) -> Iterator[Runner]:
        metrics = SinkMetrics(registry, name)
        with closing(make(metrics, registry)) as sink:
            _log.info("sink %s reads %s", name, " and ".join(topics))
            yield Runner(name, sink, topics, settings, metrics)

    run_process(settings, runner, Runner.run, kafka=settings, topics=(*topics, names_of(settings).dead_letters))
