"""The process of the canary: what it serves, how it is told to stop, and its single flight for `--once`."""

import signal
from threading import Event

import click
from prometheus_client import CollectorRegistry, ProcessCollector
from rich.console import Console

from pipeline.runtime.http_server import monitoring
from pipeline.runtime.log_config import configure_logging
from producers.canary.flight import Flights, fly_on
from producers.canary.settings import CanarySettings
from producers.canary.view import View, to_json


def run(settings: CanarySettings) -> None:
    """Send canaries in the main thread until SIGTERM or SIGINT; raises UserError.

    Kafka and the stores need not be there at start: to tell that they are not is what it is for.
    """
    configure_logging(settings.log_level)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    with Flights(settings, registry, stop) as flights, monitoring(settings, registry, flights.not_ready):
        fly_on(flights, stop)


def run_once(settings: CanarySettings, *, as_json: bool) -> bool:
    """Send one canary, show what becomes of it, and tell whether it came to all stages; raises UserError."""
    configure_logging(settings.log_level)
    with Flights(settings, CollectorRegistry(), Event()) as flights:
        if as_json:
            course = flights.fly(lambda _: None, lambda *_: None)
            click.echo(to_json(course) if course else "")
            return course is not None and not course.missing
        with View(Console(highlight=False)) as view:
            course = flights.fly(view.began, view.seen)
            if course is None:
                return False
            view.over(course)
            return not course.missing
