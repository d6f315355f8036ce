"""The Alertmanager sink: posts firing and resolved problems to `POST /api/v2/alerts`.

Alertmanager keeps alerts in memory, and resolves those that are not refreshed before their end. So alerts are sent
with an end well ahead, and again while their problems continue: after a restart of Alertmanager they reappear within a
minute of their next occurrence.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence

import orjson

from pipeline.model.dead_letters import Origin
from pipeline.runtime.http_client import headers_of
from sinks.alerting.egress_client import EgressClient, Names, egress_clients
from sinks.alerting.firing import Due, Firing
from sinks.alerting.settings import AlertmanagerSettings
from sinks.base.background import start
from sinks.base.contract import Batch, Kind, Outcome, ProblemState, Refused, Report
from sinks.base.links import Links
from sinks.base.metrics import SinkMetrics
from tracelink.errors import InvalidRecord, Unavailable

_log = logging.getLogger(__name__)

_AT_ONCE = 100
_REST_SECONDS = 30.0
# A write starts no further request after it has taken as long as this many request timeouts.
_TURN_REQUESTS = 2
_Answer = InvalidRecord | Unavailable | Refused | None
_NAMES = Names(
    "Alertmanager", "TRACELINK_ALERTMANAGER_URL", "TRACELINK_ALERTMANAGER_HEADERS", "TRACELINK_ALERTMANAGER_CA"
)


class AlertmanagerSink:
    """Posts to every Alertmanager of a cluster, as Prometheus does: members do not exchange alerts.

    A write is done when one member has accepted it. A member that was down gets the alert when it is refreshed. A retry
    posts the same labels and times, which changes nothing.
    """

    takes_logs = False

    def __init__(
        self,
        settings: AlertmanagerSettings,
        metrics: SinkMetrics,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        urls = [url.strip().rstrip("/") for url in settings.alertmanager_url.split(",") if url.strip()]
        self._clients = egress_clients(
            urls,
            settings,
            _NAMES,
            metrics,
            headers=headers_of(settings.alertmanager_headers, _NAMES.headers),
            ca=settings.alertmanager_ca,
        )
        self._firing = Firing(Links.of(settings), settings.quiet_after)
        self._clock = clock
        self._monotonic = monotonic
        self._turn = _TURN_REQUESTS * settings.request_timeout
        # The answers for the current batch, if the last attempt ran out of time.
        self._answered: dict[Origin, InvalidRecord | None] = {}
        self._failing: set[str] = set()
        self._rests_until: dict[EgressClient, float] = {}

    def write(self, batch: Batch) -> Report:
        """Post due alerts; see Sink. A refusal of the content is narrowed down to the alert that causes it."""
        report = Report([Outcome.NOT_KEPT] * len(batch.parts))
        due = self._firing.due(batch, report, self._clock())
        answered, self._answered = self._answered, {}
        left = [one for one in due if one.source.message.origin not in answered]
        until = self._monotonic() + self._turn
        for begin in range(0, len(left), _AT_ONCE):
            if begin and self._monotonic() > until:
                # The watchdog takes a very long call for one that hangs; the retry sends the rest.
                self._answered = answered
                raise Unavailable(
                    "Alertmanager is slow, or TRACELINK_MAX_REQUESTS too low: some alerts of the batch are not sent yet"
                )
            self._post(left[begin : begin + _AT_ONCE], answered)
        for one in due:
            refusal = answered[one.source.message.origin]
            if refusal is None:
                report.count(_kind(one), Outcome.WRITTEN)
            else:
                report.refuse_message(one.source.message, _kind(one), refusal)
        return report

    def check(self) -> None:
        """Check that one member is ready; see Sink."""
        refusal = self._ask_all("GET", "/-/ready")
        if refusal is not None:
            raise Unavailable(f"Alertmanager is not ready: {refusal.detail}")

    def close(self) -> None:
        """Do nothing: each request has a connection of its own."""

    def _post(self, some: Sequence[Due], answered: dict[Origin, InvalidRecord | None]) -> None:
        """Post alerts in one request, or in halves if the content is refused; adds each answer to `answered`."""
        body = orjson.dumps([posted for one in some for posted in one.posted])
        refusal = self._ask_all("POST", "/api/v2/alerts", body)
        if refusal is not None and len(some) > 1:
            half = len(some) // 2
            self._post(some[:half], answered)
            self._post(some[half:], answered)
            return
        for one in some:
            answered[one.source.message.origin] = refusal
            if refusal is None:
                self._firing.note(one)

    def _ask_all(self, method: str, path: str, body: bytes | None = None) -> InvalidRecord | None:
        """Ask all members at the same time. Return None if one accepts, else the reason why one refuses the content.

        Members that have just failed may hang: they are asked only if all other members fail.
        Raises Unavailable if no member answers and one may do so later, and Refused if none ever will.
        """
        now = self._monotonic()
        resting = [one for one in self._clients if self._rests_until.get(one, now) > now]
        answers: dict[EgressClient, _Answer] = {}
        for some in ([one for one in self._clients if one not in resting], resting):
            if all(isinstance(answer, Unavailable | Refused) for answer in answers.values()):
                answers |= self._ask(some, method, path, body)
        if None in answers.values():
            self._note(answers)
            return None
        failures: list[Unavailable | Refused] = []
        for answer in answers.values():
            # Content that one member refuses does not wait for another one that is down.
            if isinstance(answer, InvalidRecord):
                return answer
            if answer is not None:
                failures.append(answer)
        raise next((failure for failure in failures if isinstance(failure, Unavailable)), failures[0])

    def _ask(self, some: list[EgressClient], method: str, path: str, body: bytes | None) -> dict[EgressClient, _Answer]:
        """Ask some members at the same time; let those that fail rest for a while."""
        headers = {"Content-Type": "application/json"} if body is not None else {}

        def call(client: EgressClient) -> _Answer:
            try:
                return client.ask(method, client.target.path.rstrip("/") + path, body, headers)
            except (Unavailable, Refused) as error:
                return error

        if len(some) == 1:
            answers = [call(some[0])]
        else:
            # A member that hangs must not delay the requests to the others.
            calls = [start(lambda one=one: call(one)) for one in some]  # type: ignore[misc]  # bound now
            answers = [one.result() for one in calls]
        for client, answer in zip(some, answers, strict=True):
            if isinstance(answer, Unavailable | Refused):
                self._rests_until[client] = self._monotonic() + _REST_SECONDS
            else:
                self._rests_until.pop(client, None)
        return dict(zip(some, answers, strict=True))

    def _note(self, answers: Mapping[EgressClient, _Answer]) -> None:
        """Log each member that fails while others accept, once until it accepts again."""
        for client, answer in answers.items():
            if answer is None:
                self._failing.discard(client.shown)
            elif client.shown not in self._failing:
                self._failing.add(client.shown)
                _log.warning("Not every Alertmanager accepts alerts: %s", answer)


def _kind(due: Due) -> Kind:
    return "problem" if isinstance(due.source, ProblemState) else "alert"
