"""The Alertmanager sink: problems that fire and that are over, to `POST /api/v2/alerts`.

Alertmanager holds alerts in memory and resolves by itself what it hears no more of. So alerts are sent with an end
well ahead, and again while their problems go on: after a restart of Alertmanager they are back within a minute of their
next occurrence.
"""

import logging
import time
from collections.abc import Callable

import orjson

from sinks.alert_text import Links
from sinks.calls import start
from sinks.firing import Due, Firing
from sinks.outbound import Endpoint, Names, endpoints, refuse
from sinks.sink import Batch, Kind, Outcome, ProblemState, Refused, Report
from tracelink.errors import InvalidRecord, Unavailable
from tracelink.http_settings import headers_of
from tracelink.metrics import SinkMetrics
from tracelink.settings import AlertmanagerSettings

_log = logging.getLogger(__name__)

_AT_ONCE = 100
_NAMES = Names(
    "Alertmanager", "TRACELINK_ALERTMANAGER_URL", "TRACELINK_ALERTMANAGER_HEADERS", "TRACELINK_ALERTMANAGER_CA"
)


class AlertmanagerSink:
    """Posts to every Alertmanager of a cluster, as Prometheus does: they do not tell each other of alerts.

    A write is done when one of them has taken it. One that was away gets the alert when it is refreshed. A repeat
    posts the same labels and times, which changes nothing.
    """

    takes_logs = False

    def __init__(
        self, settings: AlertmanagerSettings, metrics: SinkMetrics, *, clock: Callable[[], float] = time.time
    ) -> None:
        urls = [url.strip().rstrip("/") for url in settings.alertmanager_url.split(",") if url.strip()]
        self._endpoints = endpoints(
            urls,
            settings,
            _NAMES,
            metrics,
            headers=headers_of(settings.alertmanager_headers, _NAMES.headers),
            ca=settings.alertmanager_ca,
        )
        self._firing = Firing(Links.of(settings), settings.quiet_after)
        self._clock = clock
        self._failing: set[str] = set()

    def write(self, batch: Batch) -> Report:
        """Post what is due; see Sink. A refusal of the content is narrowed down to the single alert that earns it."""
        report = Report([Outcome.NOT_KEPT] * len(batch.parts))
        due = self._firing.due(batch, report, self._clock())
        pending = [due[begin : begin + _AT_ONCE] for begin in range(0, len(due), _AT_ONCE)][::-1]
        while pending:
            some = pending.pop()
            body = orjson.dumps([posted for one in some for posted in one.posted])
            refusal = self._ask_all("POST", "/api/v2/alerts", body)
            if refusal is None:
                for one in some:
                    self._firing.note(one)
                    report.count(_kind(one), Outcome.WRITTEN)
            elif len(some) == 1:
                refuse(report, _kind(some[0]), some[0].source.message, refusal)
            else:
                half = len(some) // 2
                pending += [some[half:], some[:half]]
        return report

    def check(self) -> None:
        """Ask whether one of them is ready; see Sink."""
        refusal = self._ask_all("GET", "/-/ready")
        if refusal is not None:
            raise Unavailable(f"Alertmanager is not ready: {refusal.detail}")

    def close(self) -> None:
        """Nothing is held: each request has a connection of its own."""

    def _ask_all(self, method: str, path: str, body: bytes | None = None) -> InvalidRecord | None:
        """Ask all at the same time. Return None where one has taken it, else why none takes the content.

        Raises Unavailable where none has taken it and one may do so later, and Refused where none ever will.
        """
        headers = {"Content-Type": "application/json"} if body is not None else {}

        def call(endpoint: Endpoint) -> InvalidRecord | Unavailable | Refused | None:
            try:
                return endpoint.ask(method, endpoint.place.path.rstrip("/") + path, body, headers)
            except (Unavailable, Refused) as error:
                return error

        if len(self._endpoints) == 1:
            answers = [call(self._endpoints[0])]
        else:
            # One that hangs is not to hold up what the others get.
            calls = [start(lambda one=one: call(one)) for one in self._endpoints]  # type: ignore[misc]  # bound now
            answers = [one.result() for one in calls]
        if None in answers:
            self._note(answers)
            return None
        for kind in (Unavailable, Refused):
            for answer in answers:
                if isinstance(answer, kind):
                    raise answer
        return next(answer for answer in answers if isinstance(answer, InvalidRecord))

    def _note(self, answers: list[InvalidRecord | Unavailable | Refused | None]) -> None:
        """Log once which of several fail while others do not."""
        for endpoint, answer in zip(self._endpoints, answers, strict=True):
            if answer is None:
                self._failing.discard(endpoint.shown)
            elif endpoint.shown not in self._failing:
                self._failing.add(endpoint.shown)
                _log.warning("Not every Alertmanager takes alerts: %s", answer)


def _kind(due: Due) -> Kind:
    return "problem" if isinstance(due.source, ProblemState) else "alert"
