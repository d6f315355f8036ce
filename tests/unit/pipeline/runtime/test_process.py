"""What a process has around its work, without Kafka."""

import logging
import signal
from contextlib import closing
from threading import Event
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry

from pipeline.runtime import process
from pipeline.runtime.process import run_process
from pipeline.settings import MonitoringSettings
from tests.kit.processes import metrics, ready, url_in


class Work:
    watchdog = None
    group = ""

    def __init__(self, _registry: CollectorRegistry) -> None:
        self.stopped = Event()
        self.closed = False

    def stop(self) -> None:
        self.stopped.set()

    def not_ready(self) -> str | None:
        return "it was stopped" if self.stopped.is_set() else None

    def close(self) -> None:
        self.closed = True


def test_a_process_serves_its_metrics_and_health_until_it_is_told_to_stop_and_closes_its_work(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(process, "configure_logging", lambda _level: None)
    caplog.set_level(logging.INFO)
    works: list[Work] = []

    def run(work: Work) -> None:
        works.append(work)
        url = url_in(caplog.text) or ""
        assert metrics(url)["process_cpu_seconds_total"] > 0
        assert ready(url)
        signal.raise_signal(signal.SIGTERM)
        assert work.stopped.is_set()
        assert not ready(url)
        with urlopen(f"{url}/healthz", timeout=5) as answer:  # noqa: S310 - our own address
            assert answer.status == 200

    before = signal.getsignal(signal.SIGTERM)
    run_process(MonitoringSettings(), lambda registry: closing(Work(registry)), run)
    assert works[0].closed
    assert signal.getsignal(signal.SIGTERM) == before
