"""The process of a sink: what it checks at start, what it serves, and how it is told to stop."""

import gc
import logging
import signal
from collections.abc import Callable
from contextlib import closing

from prometheus_client import CollectorRegistry

from pipeline.kafka.admin import connect, require
from pipeline.runtime.http_server import monitoring
from pipeline.runtime.log_config import configure_logging
from pipeline.runtime.watchdog import Ends, watching
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
    """Run a sink in the main thread until SIGTERM or SIGINT; raises what Runner.run does, UserError and Stuck.

    Kafka and its topics must be there at start. The target need not: the process is not ready until it answers.
    """
    configure_logging(settings.log_level)
    gc.set_threshold(_COLLECT_AFTER)
    logging.getLogger("elastic_transport").setLevel(logging.ERROR)  # it has a line for every request, and each failure
    require(connect(settings), settings)
    registry = CollectorRegistry()
    metrics = SinkMetrics(registry, name)
    with closing(make(metrics, registry)) as sink:
        runner = Runner(name, sink, topics, settings, metrics)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: runner.stop())
        with monitoring(settings, registry, runner.not_ready), watching(runner.progress, Ends(settings)):
            _log.info("sink %s reads %s", name, " and ".join(topics))
            runner.run()
