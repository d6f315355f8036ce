"""The process of the canary, and the single probe of `--once`."""

from functools import partial

import click
from prometheus_client import CollectorRegistry
from rich.console import Console

from pipeline.runtime.log_config import configure_logging
from pipeline.runtime.process import run_process
from producers.canary.probe_runner import ProbeRunner
from producers.canary.settings import CanarySettings
from producers.canary.view import View, to_json


def run(settings: CanarySettings) -> None:
    """Send probes until stopped; see `run_process`.

    Kafka and the stores may be down at start: the canary reports that.
    """
    run_process(settings, partial(ProbeRunner, settings), ProbeRunner.run)


def run_once(settings: CanarySettings, *, as_json: bool) -> bool:
    """Send one probe and show its progress; returns True if it reached all stages. Raises UserError."""
    configure_logging(settings.log_level)
    with ProbeRunner(settings, CollectorRegistry()) as runner:
        if as_json:
            probe = runner.run_probe(lambda _: None, lambda *_: None)
            click.echo(to_json(probe) if probe else "")
            return probe is not None and not probe.missing
        with View(Console(highlight=False)) as view:
            probe = runner.run_probe(view.began, view.seen)
            if probe is None:
                return False
            view.over(probe)
            return not probe.missing
