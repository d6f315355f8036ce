"""The webhook sink: posts each alert, signed, to a URL that the operator configures."""

import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from urllib.parse import quote

import orjson

from pipeline.model.problems import Alert, Problem, Sample
from pipeline.runtime.http_client import headers_of
from sinks.alerting import slack
from sinks.alerting.alert_text import description, title
from sinks.alerting.egress_client import Names, egress_clients
from sinks.alerting.settings import WebhookSettings
from sinks.base.contract import Batch, Outcome, Report
from sinks.base.links import Links
from sinks.base.metrics import SinkMetrics
from sinks.base.times import iso, moment
from tracelink.errors import Unavailable, UserError

VERSION = 1
"""Version of the body: it increases when a field is removed or changes its meaning."""
# Larger than the number of messages in a batch.
_MOST_REMEMBERED = 20_000
_NAMES = Names("The webhook", "TRACELINK_WEBHOOK_URL", "TRACELINK_WEBHOOK_HEADERS", "TRACELINK_WEBHOOK_CA")


class WebhookSink:
    """Posts alerts in order, each until it is acknowledged.

    A retry of a batch skips alerts that were acknowledged to this process. After a crash an alert may be posted again,
    with the same `Idempotency-Key`.
    """

    takes_logs = False

    def __init__(
        self, settings: WebhookSettings, metrics: SinkMetrics, *, clock: Callable[[], float] = time.time
    ) -> None:
        if settings.webhook_url is None or not settings.webhook_url.get_secret_value():
            raise UserError(
                "TRACELINK_WEBHOOK_URL (or TRACELINK_WEBHOOK_URL_FILE) is not set: give the URL to post to."
            )
        secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret is not None else None
        if secret is not None and not secret.strip():
            raise UserError(
                "TRACELINK_WEBHOOK_SECRET (or TRACELINK_WEBHOOK_SECRET_FILE) is empty: give a secret, or leave it out."
            )
        (self._client,) = egress_clients(
            [settings.webhook_url.get_secret_value()],
            settings,
            _NAMES,
            metrics,
            headers=headers_of(settings.webhook_headers, _NAMES.headers),
            ca=settings.webhook_ca,
        )
        self._secret = secret.encode() if secret else None
        self._events = {name.strip() for name in settings.webhook_events.split(",")}
        self._slack = settings.webhook_template == "slack"
        self._links = Links.of(settings)
        self._turn = settings.request_timeout
        self._clock = clock
        self._acknowledged: OrderedDict[str, None] = OrderedDict()
        self._unreported: set[str] = set()

    def write(self, batch: Batch) -> Report:
        """Post each alert; see Sink. A retry does not post alerts again that an earlier attempt had acknowledged."""
        report = Report([Outcome.NOT_KEPT] * len(batch.parts))
        if batch.problems:
            report.count("problem", Outcome.NOT_KEPT, len(batch.problems))
        until = time.monotonic() + self._turn
        seen: set[str] = set()
        for raised in batch.alerts:
            alert = raised.alert
            if alert["event"] not in self._events:
                report.count("alert", Outcome.NOT_KEPT)
            elif alert["id"] in self._acknowledged:
                again = alert["id"] in seen or alert["id"] not in self._unreported
                report.count("alert", Outcome.DUPLICATE if again else Outcome.WRITTEN)
            elif time.monotonic() > until:
                # The watchdog takes a very long call for one that hangs; the retry sends the rest.
                raise Unavailable(
                    f"{self._client.shown} is slow, or TRACELINK_MAX_REQUESTS too low: some alerts of the batch are "
                    "not sent yet"
                )
            elif (refusal := self._client.ask("POST", self._client.target.path, *self._request(alert))) is not None:
                report.refuse_message(raised.message, "alert", refusal)
            else:
                self._remember(alert["id"])
                self._unreported.add(alert["id"])
                report.count("alert", Outcome.WRITTEN)
            seen.add(alert["id"])
        self._unreported.clear()
        return report

    def check(self) -> None:
        """Connect without a request, because a webhook takes every request for an alert; see Sink."""
        self._client.reach()

    def close(self) -> None:
        """Do nothing: each request has a connection of its own."""

    def _request(self, alert: Alert) -> tuple[bytes, dict[str, str]]:
        """Return the body and the headers of an alert's request."""
        body = orjson.dumps(slack.body(alert, self._links) if self._slack else json_body(alert, self._links))
        timestamp = str(int(self._clock()))
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": quote(alert["id"], safe=":"),
            "X-Tracelink-Timestamp": timestamp,
        }
        if self._secret is not None:
            signed = hmac.new(self._secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
            headers["X-Tracelink-Signature"] = f"sha256={signed}"
        return body, headers

    def _remember(self, alert_id: str) -> None:
        self._acknowledged[alert_id] = None
        if len(self._acknowledged) > _MOST_REMEMBERED:
            self._acknowledged.popitem(last=False)


def json_body(alert: Alert, links: Links) -> Mapping[str, object]:
    """Return the body of the template `json`; docs/alerting.md describes it."""
    problem = alert["problem"]
    return {
        "version": VERSION,
        "id": alert["id"],
        "event": alert["event"],
        "time": _shown(alert["time"]),
        "status": "resolved" if alert["event"] == "RESOLVED" else "firing",
        "fingerprint": problem["fingerprint"],
        "title": title(alert["event"], problem),
        "description": description(problem),
        "links": links.all(problem),
        "problem": _problem(problem, links),
    }


def _problem(problem: Problem, links: Links) -> Mapping[str, object]:
    slowest = problem["slowest"]
    return {
        "severity": problem["severity"],
        "rule": problem["rule"],
        "labels": problem["labels"],
        "service": problem["service"],
        "operation": problem["operation"],
        "exception": problem["exception"],
        "message": problem["message"],
        "httpStatus": problem["httpStatus"],
        "grpcStatus": problem["grpcStatus"],
        "peer": problem["peer"],
        "logger": problem["logger"],
        "services": problem["services"],
        "root": problem["root"],
        "count": problem["count"],
        "overThreshold": problem["overThreshold"],
        "firstSeen": _shown(problem["firstSeen"]),
        "lastSeen": _shown(problem["lastSeen"]),
        "firingSince": _shown(problem["firingSince"]),
        "lines": [{**line, "timestamp": _shown(line["timestamp"] / 1000)} for line in problem["lines"]],
        "newest": [_sample(sample, links) for sample in problem["newest"]],
        "slowest": _sample(slowest, links) if slowest else None,
    }


def _sample(sample: Sample, links: Links) -> Mapping[str, object]:
    return {
        "traceId": sample["traceId"],
        "time": _shown(sample["time"]),
        "durationUs": sample["duration"],
        "zipkin": links.trace(sample),
        "kibana": links.logs(sample),
    }


def _shown(milliseconds: float) -> str:
    return iso(moment(milliseconds))
