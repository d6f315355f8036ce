"""What every sink of alerts promises: one suite for the fake and the real ones."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import orjson
import pytest

from sinks.alerting.alertmanager import AlertmanagerSink
from sinks.alerting.settings import AlertmanagerSettings, WebhookSettings
from sinks.alerting.webhook import WebhookSink
from sinks.base.contract import Batch, Outcome, Sink
from sinks.testing import MemorySink
from tests.kit.alertmanager import Running
from tests.kit.alerts import NOW, batch, new_fingerprint, raised, state
from tests.kit.http_stub import Request, stub
from tests.kit.sink_examples import new_trace_id, part, span
from tests.kit.sink_targets import NOWHERE, metrics
from tests.kit.waiting import eventually
from tracelink.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Target:
    """A sink of alerts, and what its target has."""

    sink: Sink
    times: Callable[[str], int]
    """How often the target has a problem's alert."""
    unavailable: Callable[[], Sink]
    """The same sink with its target away."""


def _memory() -> Iterator[Target]:
    sink = MemorySink()

    def times(fingerprint: str) -> int:
        return sum(alert["problem"]["fingerprint"] == fingerprint for alert in sink.alerts.values())

    yield Target(sink, times, lambda: MemorySink(unavailable=True))


def _alertmanager(running: Running) -> Iterator[Target]:
    def make(url: str = running.url) -> AlertmanagerSink:
        return AlertmanagerSink(AlertmanagerSettings.load(alertmanager_url=url), metrics())

    yield Target(make(), lambda one: len(running.alerts(one)), lambda: make(NOWHERE))


def _webhook() -> Iterator[Target]:
    posted: list[str] = []

    def take(request: Request) -> tuple[int, object]:
        posted.append(orjson.loads(request.body)["fingerprint"])
        return 200, "ok"

    def make(url: str) -> WebhookSink:
        settings = WebhookSettings.load(webhook_url=url, allow_networks="127.0.0.0/8")
        return WebhookSink(settings, metrics(), clock=lambda: NOW)

    with stub(take) as url:
        yield Target(make(url), posted.count, lambda: make(NOWHERE))


@pytest.fixture(params=["memory", pytest.param("alertmanager", marks=pytest.mark.servers), "webhook"])
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    if request.param == "memory":
        yield from _memory()
    elif request.param == "alertmanager":
        yield from _alertmanager(request.getfixturevalue("alertmanager"))
    else:
        yield from _webhook()


def test_an_alert_is_written_once(target: Target) -> None:
    fingerprint, other = new_fingerprint(), new_fingerprint()
    report = target.sink.write(batch(raised("NEW", fingerprint), raised("BACK", other)))
    assert report.records["alert", Outcome.WRITTEN] == 2
    assert not report.dead_letters
    eventually(lambda: target.times(fingerprint) == 1)
    eventually(lambda: target.times(other) == 1)


def test_a_batch_that_is_repeated_changes_nothing(target: Target) -> None:
    fingerprint = new_fingerprint()
    same = batch(raised("NEW", fingerprint))
    for _ in range(3):
        report = target.sink.write(same)
        assert report.records.total() == 1
        assert not report.dead_letters
    eventually(lambda: target.times(fingerprint) == 1)


def test_each_record_of_a_batch_is_counted_once(target: Target) -> None:
    fingerprint = new_fingerprint()
    records = batch(
        raised("NEW", fingerprint),
        raised("RATE", fingerprint, version=2),
        raised("RESOLVED", fingerprint),
        state(fingerprint, version=1),
        state(fingerprint, version=2),
        state(new_fingerprint(), announced=False),
    )
    counted = target.sink.write(records).records
    assert sum(number for (kind, _), number in counted.items() if kind == "alert") == 3
    assert sum(number for (kind, _), number in counted.items() if kind == "problem") == 3


def test_parts_of_traces_get_an_outcome_too(target: Target) -> None:
    report = target.sink.write(Batch(parts=(part([span(new_trace_id())]),)))
    assert len(report.parts) == 1


def test_nothing_to_write_is_no_trouble(target: Target) -> None:
    report = target.sink.write(Batch())
    assert report.parts == []
    assert not report.records


def test_check_passes_where_the_target_answers(target: Target) -> None:
    target.sink.check()


def test_a_target_that_is_away_is_unavailable_to_check_and_to_write(target: Target) -> None:
    unavailable = target.unavailable()
    with pytest.raises(Unavailable):
        unavailable.check()
    with pytest.raises(Unavailable):
        unavailable.write(batch(raised()))
    unavailable.close()


def test_close_may_be_called_again(target: Target) -> None:
    target.sink.close()
    target.sink.close()
