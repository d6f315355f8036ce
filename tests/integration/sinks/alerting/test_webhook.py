"""The webhook sink: what is posted, how it is signed, and that nothing is posted twice or lost."""

import hashlib
import hmac
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.local.stack import Endpoints
from pipeline.model.problems import ALERT
from sinks.alerting import slack
from sinks.alerting.settings import WebhookSettings
from sinks.alerting.webhook import WebhookSink
from sinks.base.background import start
from sinks.base.contract import Outcome, Refused
from sinks.base.links import Links
from sinks.base.runner import Patience, Runner
from tests.kit.alerts import NOW, TRACE_ID, batch, new_fingerprint, raised, state
from tests.kit.http_stub import Request, stub
from tests.kit.sink_targets import metrics
from tests.kit.sink_topics import Topics, headers_of
from tests.kit.waiting import eventually
from tracelink.errors import Unavailable, UserError

LINKS = Links("http://zipkin.example.org/zipkin", "http://kibana.example.org")


class Receiver:
    """Keeps what is posted, and answers 200 unless it is told otherwise."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer: Callable[[Request], int] = lambda _: 200
        self.url = ""

    def __call__(self, request: Request) -> tuple[int, object]:
        status = self.answer(request)
        if status == 200:
            self.requests.append(request)
        return status, "said"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [orjson.loads(request.body) for request in self.requests]

    @property
    def ids(self) -> list[str]:
        return [request.headers["idempotency-key"] for request in self.requests]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    with stub(made) as made.url:
        yield made


def settings(url: str, **given: object) -> WebhookSettings:
    return WebhookSettings.load(**({"webhook_url": url, "allow_networks": "127.0.0.0/8"} | given))


def sink(url: str, **given: object) -> WebhookSink:
    return WebhookSink(settings(url, **given), metrics(), clock=lambda: NOW)


def test_an_alert_is_posted_as_documented(receiver: Receiver) -> None:
    alert = raised("NEW", "00f067aa0ba902b7")
    report = sink(receiver.url + "/hook?x=1").write(batch(alert, state()))
    assert report.records == {("alert", Outcome.WRITTEN): 1, ("problem", Outcome.NOT_KEPT): 1}
    (request,), (body,) = receiver.requests, receiver.bodies
    assert (request.method, request.path) == ("POST", "/hook?x=1")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("tracelink/")
    assert request.headers["idempotency-key"] == alert.alert["id"]
    assert "x-tracelink-signature" not in request.headers
    assert body["version"] == 1
    assert (body["event"], body["status"], body["id"]) == ("NEW", "firing", alert.alert["id"])
    assert body["time"] == "2026-01-01T00:00:00.000Z"
    assert body["title"] == "New: payment: CardDeclined in charge"
    assert body["description"].splitlines() == [
        "the card was declined",
        "Seen 3 times since 2025-12-31T23:59:59.000Z.",
        "Services: cart, payment.",
        "Request: cart post /checkout.",
        "2026-01-01T00:00:00.000Z ERROR payment declined by the bank",
    ]
    assert body["links"]["zipkin"] == f"http://127.0.0.1:9411/zipkin/traces/{TRACE_ID}"
    assert body["links"]["runbook"] == "https://runbooks.example.org/payments"
    assert body["problem"]["labels"] == {"team": "shop"}
    assert body["problem"]["lines"][0]["timestamp"] == "2026-01-01T00:00:00.000Z"
    assert body["problem"]["newest"][0]["traceId"] == TRACE_ID


def test_the_receiver_can_verify_the_signature(receiver: Receiver) -> None:
    sink(receiver.url, webhook_secret="s3cret").write(batch(raised(message="naïve 雪")))  # noqa: S106 - of a test
    (request,) = receiver.requests
    # As docs/alerting.md has it.
    timestamp = request.headers["x-tracelink-timestamp"]
    expected = hmac.new(b"s3cret", timestamp.encode() + b"." + request.body, hashlib.sha256).hexdigest()
    assert request.headers["x-tracelink-signature"] == f"sha256={expected}"
    assert timestamp == str(int(NOW))


def test_a_secret_that_is_set_and_empty_is_a_users_mistake(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "secret"
    empty.write_text("\n")
    monkeypatch.setenv("TRACELINK_WEBHOOK_SECRET_FILE", str(empty))
    with pytest.raises(UserError, match=r"TRACELINK_WEBHOOK_SECRET_FILE.* is empty"):
        sink(receiver.url)
    monkeypatch.delenv("TRACELINK_WEBHOOK_SECRET_FILE")
    for secret in ("", " "):
        with pytest.raises(UserError, match=r"TRACELINK_WEBHOOK_SECRET .*is empty"):
            sink(receiver.url, webhook_secret=secret)


def test_only_the_events_that_are_asked_for_are_posted(receiver: Receiver) -> None:
    alerts = [raised(event, new_fingerprint()) for event in ("NEW", "BACK", "RATE", "RESOLVED")]
    report = sink(receiver.url, webhook_events="NEW, RESOLVED").write(batch(*alerts))
    assert [body["event"] for body in receiver.bodies] == ["NEW", "RESOLVED"]
    assert [body["status"] for body in receiver.bodies] == ["firing", "resolved"]
    assert report.records == {("alert", Outcome.WRITTEN): 2, ("alert", Outcome.NOT_KEPT): 2}


def test_a_repeat_posts_what_was_not_acknowledged_and_nothing_twice(receiver: Receiver) -> None:
    alerts = [raised("NEW", new_fingerprint()) for _ in range(5)]
    whole = batch(*alerts)
    left = iter([200, 200, 503, 200, 429])
    receiver.answer = lambda _: next(left, 200)
    target = sink(receiver.url)
    for _ in range(2):
        with pytest.raises(Unavailable):
            target.write(whole)
    assert target.write(whole).records == {("alert", Outcome.WRITTEN): 5}
    assert receiver.ids == [one.alert["id"] for one in alerts]
    # Read again, after a rebalance.
    assert target.write(whole).records == {("alert", Outcome.DUPLICATE): 5}
    assert len(receiver.requests) == 5


def test_the_same_alert_twice_in_a_batch_is_posted_once(receiver: Receiver) -> None:
    report = sink(receiver.url).write(batch(raised(), raised()))
    assert report.records == {("alert", Outcome.WRITTEN): 1, ("alert", Outcome.DUPLICATE): 1}
    assert len(receiver.requests) == 1


def test_what_is_remembered_is_bounded(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.alerting.webhook._MOST_REMEMBERED", 3)
    alerts = [raised("NEW", new_fingerprint()) for _ in range(4)]
    target = sink(receiver.url)
    target.write(batch(*alerts))
    target.write(batch(alerts[3], alerts[0]))
    assert receiver.ids == [one.alert["id"] for one in (*alerts, alerts[0])]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refused_alert_is_dead_lettered_alone(receiver: Receiver, status: int) -> None:
    alerts = [raised("NEW", new_fingerprint()) for _ in range(3)]
    receiver.answer = lambda request: status if request.headers["idempotency-key"] == alerts[1].alert["id"] else 200
    report = sink(receiver.url).write(batch(*alerts))
    (letter,) = report.dead_letters
    assert letter.message is alerts[1].message
    assert str(status) in letter.error.detail
    assert report.records == {("alert", Outcome.WRITTEN): 2, ("alert", Outcome.DEAD_LETTER): 1}
    assert receiver.ids == [alerts[0].alert["id"], alerts[2].alert["id"]]


def test_a_slow_receiver_gets_the_rest_in_the_repeat(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def slow(_: Request) -> int:
        now[0] += 4
        return 200

    receiver.answer = slow
    monkeypatch.setattr("sinks.alerting.webhook.time.monotonic", lambda: now[0])
    alerts = batch(*(raised("NEW", new_fingerprint()) for _ in range(5)))
    target = sink(receiver.url, request_timeout="10")
    with pytest.raises(Unavailable, match="slow"):
        target.write(alerts)
    assert len(receiver.requests) == 3
    assert target.write(alerts).records == {("alert", Outcome.WRITTEN): 5}
    assert len(receiver.requests) == 5


def test_an_id_that_no_header_takes_is_escaped(receiver: Receiver) -> None:
    odd = raised()
    odd.alert["id"] = "a\r\nX-Evil: 1\u96ea"
    sink(receiver.url).write(batch(odd))
    assert receiver.ids == ["a%0D%0AX-Evil:%201%E9%9B%AA"]
    assert "x-evil" not in receiver.requests[0].headers


def test_the_url_is_shown_nowhere(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    receiver.answer = lambda _: 404
    url = f"{receiver.url}/services/T0/B0/s3cret"
    target = sink(url)
    with caplog.at_level(logging.DEBUG), pytest.raises(Refused) as caught:
        target.write(batch(raised()))
    receiver.answer = lambda _: 500
    with caplog.at_level(logging.DEBUG), pytest.raises(Unavailable) as waited:
        target.write(batch(raised()))
    assert "s3cret" not in caught.value.message + str(waited.value) + caplog.text + repr(settings(url))
    assert receiver.url in caught.value.message
    assert "TRACELINK_WEBHOOK_URL" in caught.value.message
    with pytest.raises(UserError) as wrong:
        sink("htp://hooks.example.org/s3cret")
    assert "s3cret" not in wrong.value.message


@pytest.mark.parametrize("status", [400, 401, 404, 503])
def test_what_an_answer_repeats_of_the_request_is_shown_nowhere(caplog: pytest.LogCaptureFixture, status: int) -> None:
    with stub(lambda request: (status, f"no {request.path} for {request.headers['x-key']}, sorry")) as url:
        target = sink(f"{url}/services/T0/B0/s3cret-path?key=s3cret-query", webhook_headers="X-Key: s3cret-header")
        with caplog.at_level(logging.DEBUG):
            try:
                said = str(target.write(batch(raised())).dead_letters[0].error.detail)
            except (Refused, Unavailable) as error:
                said = str(error)
    assert "s3cret" not in said + caplog.text
    assert "/services" not in said
    assert "no [redacted] for [redacted], sorry" in said


def test_an_internal_address_is_refused_by_default(receiver: Receiver) -> None:
    target = sink(receiver.url, allow_networks="")
    with pytest.raises(Refused, match="TRACELINK_ALLOW_NETWORKS"):
        target.check()
    with pytest.raises(Refused, match="TRACELINK_ALLOW_NETWORKS"):
        target.write(batch(raised()))


def test_settings_that_cannot_be_are_a_users_mistake() -> None:
    with pytest.raises(UserError, match="TRACELINK_WEBHOOK_URL"):
        WebhookSink(WebhookSettings.load(), metrics())
    with pytest.raises(UserError, match=r"TRACELINK_WEBHOOK_EVENTS .*'OLD' is not one of NEW, BACK, RATE, RESOLVED"):
        settings("http://h", webhook_events="NEW,OLD")
    with pytest.raises(UserError, match="TRACELINK_WEBHOOK_TEMPLATE"):
        settings("http://h", webhook_template="teams")


def test_slack_gets_text_and_blocks_without_mentions_and_markup_of_others(receiver: Receiver) -> None:
    evil = raised("NEW", message="<!channel> a & b ``` *x*", lines=[
        {"timestamp": 0, "service": None, "level": None, "message": "``` <@U1>"},
    ])  # fmt: skip
    sink(receiver.url, webhook_template="slack").write(batch(evil))
    (body,) = receiver.bodies
    text = orjson.dumps(body).decode()
    assert "<!channel>" not in text
    assert "<@U1>" not in text
    assert "&lt;!channel&gt; a &amp; b" in text
    assert body["text"] == "New: payment: CardDeclined in charge"
    assert f"<http://127.0.0.1:9411/zipkin/traces/{TRACE_ID}|Trace>" in text
    assert "&amp;_a=(" in text
    (quoted,) = (one["text"]["text"] for one in body["blocks"] if "```" in one.get("text", {}).get("text", "")[:3])
    assert quoted.count("```") == 2


@given(
    st.text(max_size=4000),
    st.text(max_size=4000),
    st.lists(st.text(max_size=500), max_size=10),
    st.sampled_from("&<>`x\U0001f4a5"),
)
def test_a_body_for_slack_is_within_its_limits(message: str, name: str, lines: list[str], repeated: str) -> None:
    long = repeated * 5000
    alert = raised(
        "RATE",
        message=message + long,
        service=name or long,
        operation=long,
        exception=long,
        severity=long,
        root=long,
        runbook="https://r/" + "|<>&" * 400,
        services=[long] * 50,
        lines=[{"timestamp": 0, "service": long, "level": name, "message": line + long} for line in lines],
    ).alert
    body: Any = slack.body(alert, LINKS)
    assert units(body["text"]) <= 3000
    assert 1 <= len(body["blocks"]) <= 50
    for block in body["blocks"]:
        if block["type"] == "header":
            assert 1 <= units(block["text"]["text"]) <= 150
            continue
        fields = block.get("fields", [])
        assert len(fields) <= 10
        assert all(1 <= units(one["text"]) <= 2000 for one in fields)
        assert "fields" in block or 1 <= units(block["text"]["text"]) <= 3000


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("", ""),
        ("abcde", "abcde"),
        ("abcdef", "abcd…"),
        ("a&", "a…"),
        ("&", "&amp;"),
        ("&b", "…"),
        ("abc\U0001f4a5", "abc\U0001f4a5"),
        ("abcd\U0001f4a5", "abcd…"),
        ("\U0001f4a5\U0001f4a5\U0001f4a5", "\U0001f4a5\U0001f4a5…"),
        ("abc\U0001f4a5d", "abc…"),
    ],
)
def test_a_text_for_slack_is_cut_by_units_and_never_within_one_character(text: str, cut: str) -> None:
    assert slack.escaped(text, 5) == cut


@pytest.fixture
def topics(stack: Endpoints, topic_prefix: str) -> Topics:
    return Topics(stack.kafka, topic_prefix)


def test_from_kafka_to_a_receiver_that_was_away_and_refuses_one(topics: Topics, receiver: Receiver) -> None:
    good, bad = raised("NEW", new_fingerprint()), raised("BACK", new_fingerprint())
    answers = iter([503, 503])

    def answer(request: Request) -> int:
        if request.headers["idempotency-key"] == bad.alert["id"]:
            return 400
        return next(answers, 200)

    receiver.answer = answer
    group = f"{topics.names.prefix}webhook"
    loaded = settings(
        receiver.url, kafka_bootstrap_servers=topics.brokers, topic_prefix=topics.names.prefix, sink_group=group
    )
    measured = metrics("webhook")
    runner = Runner(
        "webhook",
        WebhookSink(loaded, measured),
        (topics.names.alerts,),
        loaded,
        measured,
        clock=lambda: NOW + 2,
        patience=Patience(first_retry=0.02, longest_retry=0.1, at_stop=0.5),
    )
    topics.produce(topics.names.alerts, *(ALERT.encode(one.alert) for one in (bad, good)), b"no alert")
    done = start(runner.run)
    try:
        eventually(lambda: topics.committed(group, topics.names.alerts) == 3)
        letters = topics.messages(topics.names.dead_letters, 2)
    finally:
        runner.stop()
        done.result(20)
    assert receiver.ids == [good.alert["id"]]
    assert {headers_of(letter)["tracelink.reason"] for letter in letters} == {b"refused", b"frame"}
    (refused,) = (letter for letter in letters if headers_of(letter)["tracelink.reason"] == b"refused")
    assert refused.value() == ALERT.encode(bad.alert)
    assert headers_of(refused)["tracelink.sink"] == b"webhook"
