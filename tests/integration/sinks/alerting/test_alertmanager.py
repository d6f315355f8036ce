"""The Alertmanager sink: against a real one, and against answers that a healthy one does not give."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, get_args
from urllib.parse import unquote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.problems import Event
from sinks.alerting.alertmanager import AlertmanagerSink
from sinks.alerting.settings import _EVENTS, AlertmanagerSettings
from sinks.base.contract import Outcome, Refused, Report
from tests.kit.alertmanager import Running
from tests.kit.alerts import AT, NOW, TRACE_ID, batch, new_fingerprint, raised, state
from tests.kit.http_stub import Answer, Request, stub
from tests.kit.sink_targets import NOWHERE, metrics
from tests.kit.waiting import eventually
from tracelink.errors import Unavailable, UserError

QUIET_AFTER = 900


class Clock:
    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def sink(
    url: str, clock: Clock | None = None, *, monotonic: Callable[[], float] = time.monotonic, **settings: object
) -> AlertmanagerSink:
    loaded = AlertmanagerSettings.load(alertmanager_url=url, **settings)
    return AlertmanagerSink(loaded, metrics(), clock=clock or Clock(), monotonic=monotonic)


class Receiver:
    """What an Alertmanager was posted; answers 200 unless it is told otherwise."""

    def __init__(self) -> None:
        self.posts: list[list[dict[str, Any]]] = []
        self.status = 200
        self.url = ""

    def __call__(self, request: Request) -> tuple[int, object]:
        if request.method == "POST":
            assert request.path == "/api/v2/alerts"
            self.posts.append(orjson.loads(request.body))
        return self.status, "said"

    @property
    def alerts(self) -> list[dict[str, Any]]:
        return [alert for post in self.posts for alert in post]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    with stub(made) as made.url:
        yield made


def just_now() -> dict[str, Any]:
    """Return times for a problem of just now, by the clock of a real Alertmanager."""
    at = int(time.time() * 1000)
    return {"arrived": at, "firstSeen": at - 5000, "firingSince": at - 5000, "lastSeen": at}


def test_a_real_alertmanager_shows_the_alert_groups_its_refresh_and_tells_that_it_is_over(
    alertmanager: Running,
) -> None:
    fingerprint, clock = new_fingerprint(), Clock(time.time())
    target = sink(alertmanager.url, clock)
    target.check()
    times = just_now()
    assert target.write(batch(raised("NEW", fingerprint, **times))).records == {("alert", Outcome.WRITTEN): 1}
    (shown,) = eventually(lambda: alertmanager.alerts(fingerprint))
    assert shown["labels"] == {
        "alertname": "TracelinkProblem",
        "fingerprint": fingerprint,
        "service": "payment",
        "severity": "critical",
        "team": "shop",
    }
    assert shown["annotations"]["summary"] == "payment: CardDeclined in charge"
    assert shown["annotations"]["operation"] == "charge"
    assert shown["annotations"]["exception"] == "CardDeclined"
    assert "the card was declined" in shown["annotations"]["description"]
    assert shown["annotations"]["trace_url"] == f"http://127.0.0.1:9411/zipkin/traces/{TRACE_ID}"
    assert shown["annotations"]["runbook_url"] == "https://runbooks.example.org/payments"
    assert shown["generatorURL"] == shown["annotations"]["trace_url"]
    assert TRACE_ID in shown["annotations"]["logs_url"]
    eventually(lambda: alertmanager.statuses(fingerprint) == ["firing"])

    clock.now += 61
    refreshed = state(fingerprint, **times | {"version": 5, "count": 40, "operation": "charge"})
    assert target.write(batch(refreshed)).records == {("problem", Outcome.WRITTEN): 1}
    (again,) = alertmanager.alerts(fingerprint)
    assert "40 times" in again["annotations"]["description"]
    assert again["startsAt"] == shown["startsAt"]

    over = raised("RESOLVED", fingerprint, **times)
    over.alert["time"] = times["arrived"]
    target.write(batch(over))
    eventually(lambda: alertmanager.alerts(fingerprint) == [])
    eventually(lambda: alertmanager.statuses(fingerprint) == ["firing", "resolved"])
    (notified,) = alertmanager.notified[-1]["alerts"]
    assert notified["status"] == "resolved"


def test_a_real_alertmanager_has_no_alert_left_where_the_severity_changed_in_between(alertmanager: Running) -> None:
    fingerprint, clock = new_fingerprint(), Clock(time.time())
    target, times = sink(alertmanager.url, clock), just_now()
    target.write(batch(raised("NEW", fingerprint, **times, severity="warning")))
    target.write(batch(raised("RATE", fingerprint, **times, severity="critical", version=2)))
    (shown,) = eventually(lambda: alertmanager.alerts(fingerprint))
    assert shown["labels"]["severity"] == "critical"
    target.write(batch(raised("RESOLVED", fingerprint, **times, severity="info")))
    eventually(lambda: alertmanager.alerts(fingerprint) == [])


def test_a_real_alertmanager_takes_whatever_a_problem_says(alertmanager: Running) -> None:
    odd = "\u0000\n\t\"'<&>{}\\ \u202e\U0001f4a5 " * 200
    fields: dict[str, Any] = {
        **dict.fromkeys(("service", "operation", "exception", "message", "severity", "root", "runbook"), odd),
        "labels": {odd: odd, "9": "x", "a-b": "", "\u96ea": "y"},
        "newest": [{"traceId": odd, "time": 2**60, "duration": 0}],
        "firstSeen": -1,
        "lines": [{"timestamp": 2**62, "service": odd, "level": odd, "message": odd}],
    }
    report = sink(alertmanager.url, Clock(time.time())).write(
        batch(
            raised("NEW", new_fingerprint(), **just_now() | fields),
            raised("NEW", new_fingerprint(), **fields | {"firingSince": 2**60}),
            raised("RESOLVED", new_fingerprint(), **fields | {"firingSince": -(2**60)}),
        )
    )
    assert report.records == {("alert", Outcome.WRITTEN): 3}


def test_an_alert_has_an_end_well_ahead_that_depends_on_the_problem_alone(receiver: Receiver) -> None:
    clock = Clock()
    for _ in range(2):
        sink(receiver.url, clock).write(batch(raised()))
        clock.now += 100
    first, second = receiver.alerts
    assert first == second
    assert first["startsAt"] == "2025-12-31T23:59:59.000Z"
    assert first["endsAt"] == "2026-01-01T00:30:00.000Z"


def test_an_alert_that_is_read_late_is_told_all_the_same(receiver: Receiver) -> None:
    sink(receiver.url, Clock(NOW + 7200)).write(batch(raised()))
    assert receiver.alerts[0]["endsAt"] == "2026-01-01T02:30:00.000Z"


def test_what_is_over_ends_when_it_did_and_never_before_it_began_nor_in_the_future(receiver: Receiver) -> None:
    late, early = Clock(NOW + 3600), Clock(NOW)
    sink(receiver.url, late).write(batch(raised("RESOLVED")))
    sink(receiver.url, early).write(batch(raised("RESOLVED")))
    sink(receiver.url, late).write(batch(raised("RESOLVED", firingSince=AT + 120_000)))
    ends = [alert["endsAt"] for alert in receiver.alerts]
    assert ends == ["2026-01-01T00:01:00.000Z", "2026-01-01T00:00:00.000Z", "2026-01-01T00:02:00.000Z"]
    assert receiver.alerts[2]["startsAt"] == ends[2]


def test_the_last_alert_of_a_problem_in_a_batch_is_the_one_that_is_posted(receiver: Receiver) -> None:
    report = sink(receiver.url).write(batch(raised("NEW"), raised("RATE", version=2), raised("RESOLVED")))
    assert report.records == {("alert", Outcome.WRITTEN): 1, ("alert", Outcome.NOT_KEPT): 2}
    (alert,) = receiver.alerts
    assert alert["endsAt"] == "2026-01-01T00:00:00.000Z"


def test_labels_stay_the_same_whatever_varies_within_a_problem(receiver: Receiver) -> None:
    varying: list[dict[str, Any]] = [
        {"operation": "get /orders/17?page=1", "exception": "Lost", "message": "17 is lost"},
        {"operation": "get /orders/eu-a5f1", "exception": "Lost$Proxy81", "message": "18 is lost"},
        {"operation": None, "exception": None},
    ]
    for version, fields in enumerate(varying, 1):
        sink(receiver.url).write(batch(raised(version=version, **fields)))
    expected = {
        "alertname": "TracelinkProblem",
        "fingerprint": "00f067aa0ba902b7",
        "severity": "critical",
        "service": "payment",
        "team": "shop",
    }
    assert [alert["labels"] for alert in receiver.alerts] == [expected] * 3
    shown = [alert["annotations"] for alert in receiver.alerts]
    assert [one.get("operation") for one in shown] == ["get /orders/17?page=1", "get /orders/eu-a5f1", None]
    assert [one.get("exception") for one in shown] == ["Lost", "Lost$Proxy81", None]


def test_a_service_that_varies_stays_as_it_was_told_first_while_the_problem_fires(receiver: Receiver) -> None:
    target = sink(receiver.url)
    target.write(batch(raised("NEW", service="one")))
    target.write(batch(raised("RATE", service="two", version=2)))
    target.write(batch(raised("RESOLVED", service=None)))
    target.write(batch(raised("BACK", service="four", version=10)))
    assert [alert["labels"]["service"] for alert in receiver.alerts] == ["one", "one", "one", "four"]


def test_a_message_is_never_a_label_and_labels_are_bounded(receiver: Receiver) -> None:
    labels = {f"label-{number:03}": "x" * 1000 for number in range(100)} | {
        "9lives": "y",
        "alertname": "other",
        "": "z",
    }
    sink(receiver.url).write(
        batch(raised(labels=labels, service="s" * 1000, message="secret word", exception="e" * 1000))
    )
    (alert,) = receiver.alerts
    assert len(alert["labels"]) <= 24
    assert max(map(len, alert["labels"].values())) <= 200
    assert alert["labels"]["alertname"] == "TracelinkProblem"
    assert len(alert["annotations"]["exception"]) <= 200
    assert "secret word" not in str(alert["labels"])
    assert all(name.replace("_", "a").isalnum() and not name[0].isdecimal() for name in alert["labels"])


@given(
    st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=30),
    st.text(max_size=50),
    st.text(max_size=2000),
)
def test_an_alert_is_bounded_whatever_the_problem_says(labels: dict[str, str], operation: str, message: str) -> None:
    from sinks.alerting.firing import Firing  # noqa: PLC0415 - as above
    from sinks.base.links import Links  # noqa: PLC0415 - beside the property

    made = raised(labels=labels, operation=operation, message=message, services=[message] * 50, root=message)
    (due,) = Firing(Links("http://z", "http://k"), 900).due(batch(made), Report([]), NOW)
    (alert,) = due.posted
    assert len(orjson.dumps(alert)) < 60_000
    assert len(alert["annotations"]["description"]) < 6_000
    assert "\n" not in alert["annotations"]["summary"]


def test_a_state_refreshes_an_alert_once_a_minute(receiver: Receiver) -> None:
    clock = Clock()
    target = sink(receiver.url, clock)
    target.write(batch(raised()))
    for second in range(1, 181):
        clock.now = NOW + second
        target.write(batch(state(version=1 + second, arrived=AT + 1000 * second)))
    assert len(receiver.posts) == 1 + 3
    assert receiver.alerts[-1]["endsAt"] == "2026-01-01T00:33:00.000Z"


def test_a_refresh_comes_well_before_the_end_where_problems_are_soon_quiet(receiver: Receiver) -> None:
    clock = Clock()
    target = sink(receiver.url, clock, quiet_after="10")
    target.write(batch(raised()))
    clock.now += 6
    assert target.write(batch(state(version=2, arrived=AT + 6000))).records["problem", Outcome.WRITTEN] == 1
    assert receiver.alerts[-1]["endsAt"] == "2026-01-01T00:00:26.000Z"


@pytest.mark.parametrize(
    "fields",
    [{"announced": False}, {"muted": True}, {"status": "QUIET"}, {"arrived": AT - 2 * QUIET_AFTER * 1000}],
)
def test_a_state_that_nobody_is_to_hear_of_is_not_posted(receiver: Receiver, fields: dict[str, Any]) -> None:
    report = sink(receiver.url).write(batch(state(**fields)))
    assert report.records == {("problem", Outcome.NOT_KEPT): 1}
    assert receiver.posts == []


def test_after_a_restart_the_next_state_brings_the_alert_back(receiver: Receiver) -> None:
    sink(receiver.url).write(batch(raised()))
    sink(receiver.url).write(batch(state(version=2)))
    assert receiver.alerts[0]["labels"] == receiver.alerts[1]["labels"]


def test_an_old_state_does_not_raise_again_what_is_over(receiver: Receiver) -> None:
    target = sink(receiver.url)
    target.write(batch(raised("NEW"), raised("RESOLVED")))
    report = target.write(batch(state(version=5)))
    assert report.records == {("problem", Outcome.NOT_KEPT): 1}
    target.write(batch(raised("NEW", version=5)))
    assert len(receiver.posts) == 1


def test_a_state_that_is_read_after_the_end_was_told_to_a_process_before_ends_with_the_quiet_one(
    receiver: Receiver,
) -> None:
    target = sink(receiver.url)
    target.write(batch(state(version=5)))
    target.write(batch(state(version=9, status="QUIET", announced=False)))
    assert [alert["endsAt"] for alert in receiver.alerts] == ["2026-01-01T00:30:00.000Z", "2026-01-01T00:00:00.000Z"]


def test_alerts_of_a_batch_go_out_together_but_not_without_bound(receiver: Receiver) -> None:
    report = sink(receiver.url).write(batch(*(raised("NEW", new_fingerprint()) for _ in range(250))))
    assert report.records == {("alert", Outcome.WRITTEN): 250}
    assert [len(post) for post in receiver.posts] == [100, 100, 50]


@pytest.mark.parametrize("bad", [0, 3, 7])
def test_refused_content_is_narrowed_down_to_the_one_alert(bad: int) -> None:
    fingerprints = [new_fingerprint() for _ in range(8)]
    taken: list[str] = []

    def answer(request: Request) -> tuple[int, object]:
        posted = [alert["labels"]["fingerprint"] for alert in orjson.loads(request.body)]
        if fingerprints[bad] in posted:
            return 400, "alert too odd"
        taken.extend(posted)
        return 200, ""

    records = [raised("NEW", one) for one in fingerprints[:6]] + [state(one) for one in fingerprints[6:]]
    with stub(answer) as url:
        report = sink(url).write(batch(*records))
    (letter,) = report.dead_letters
    assert letter.message is records[bad].message
    assert letter.payload == records[bad].message.value
    assert letter.kind is None
    assert "alert too odd" in letter.error.detail
    assert taken == [one for one in fingerprints if one != fingerprints[bad]]
    assert report.records["alert" if bad < 6 else "problem", Outcome.DEAD_LETTER] == 1
    assert report.records.total() == 8


def test_a_repeat_after_a_failure_half_way_leaves_everything_as_it_should_be(receiver: Receiver) -> None:
    target, records = sink(receiver.url), [raised("NEW", new_fingerprint()) for _ in range(150)]
    whole = batch(*records)
    answers = iter([200, 503])
    failing: Answer = lambda _: (next(answers, 200), "")  # noqa: E731 - the shortest of servers
    with stub(failing) as url:
        target = sink(url)
        with pytest.raises(Unavailable):
            target.write(whole)
        assert target.write(whole).records == {("alert", Outcome.WRITTEN): 150}


def test_a_slow_one_gets_the_rest_in_the_repeat() -> None:
    posted: Counter[str] = Counter()
    clock, records = Clock(), [raised("NEW", new_fingerprint()) for _ in range(400)]
    bad = records[150].alert["problem"]["fingerprint"]

    def answer(request: Request) -> tuple[int, object]:
        clock.now += 9
        found = [alert["labels"]["fingerprint"] for alert in orjson.loads(request.body)]
        if bad in found:
            return 400, "alert too odd"
        posted.update(found)
        return 200, ""

    with stub(answer) as url:
        target = sink(url, monotonic=clock)
        with pytest.raises(Unavailable, match="slow"):
            target.write(batch(*records))
        assert 100 < len(posted) < 400
        report = target.write(batch(*records))
    assert report.records == {("alert", Outcome.WRITTEN): 399, ("alert", Outcome.DEAD_LETTER): 1}
    assert [letter.message for letter in report.dead_letters] == [records[150].message]
    assert posted == {one.alert["problem"]["fingerprint"]: 1 for one in records if one is not records[150]}


@contextmanager
def three(*statuses: int) -> Iterator[tuple[str, list[Receiver]]]:
    """Run three Alertmanagers that answer so; gives their URLs."""
    members = [Receiver() for _ in statuses]
    for member, status in zip(members, statuses, strict=True):
        member.status = status
    with stub(members[0]) as first, stub(members[1]) as second, stub(members[2]) as third:
        yield ", ".join((first, f"{second}/", third)), members


def test_all_of_a_cluster_get_every_alert_and_one_that_takes_it_is_enough(caplog: pytest.LogCaptureFixture) -> None:
    with three(200, 503, 401) as (urls, members):
        clock = Clock()
        target = sink(urls, monotonic=clock)
        for number in range(1, 3):
            assert target.write(batch(raised(version=number))).records == {("alert", Outcome.WRITTEN): 1}
            clock.now += 31
        assert [len(member.posts) for member in members] == [2, 2, 2]
        target.check()
    assert caplog.text.count("Not every Alertmanager") == 2


def test_a_cluster_that_does_not_take_it_is_waited_for_while_one_may() -> None:
    with three(401, 503, 404) as (urls, _), pytest.raises(Unavailable, match="503"):
        sink(urls).write(batch(raised()))
    with three(401, 404, 401) as (urls, _), pytest.raises(Refused, match="ALERTMANAGER_HEADERS"):
        sink(urls).write(batch(raised()))
    for others in (400, 401, 503):
        with three(others, others, 400) as (urls, _):
            assert len(sink(urls).write(batch(raised())).dead_letters) == 1


def test_refused_content_is_narrowed_down_while_a_member_is_down() -> None:
    records = [raised("NEW", new_fingerprint()) for _ in range(8)]
    bad = records[5].alert["problem"]["fingerprint"]
    picky: Answer = lambda request: (400 if bad.encode() in request.body else 200, "")  # noqa: E731 - as above
    with stub(picky) as url:
        report = sink(f"{NOWHERE},{url}").write(batch(*records))
    assert [letter.message for letter in report.dead_letters] == [records[5].message]
    assert report.records == {("alert", Outcome.WRITTEN): 7, ("alert", Outcome.DEAD_LETTER): 1}


def test_a_member_that_failed_is_left_alone_for_a_while_unless_no_other_one_takes_alerts() -> None:
    clock, versions = Clock(), iter(range(1, 100))
    with three(200, 503, 200) as (urls, members):
        target = sink(urls, monotonic=clock)

        def asked() -> list[int]:
            """Write, and return which were asked."""
            for member in members:
                member.posts.clear()
            target.write(batch(raised(version=next(versions))))
            return [len(member.posts) for member in members]

        assert asked() == [1, 1, 1]
        assert asked() == [1, 0, 1]
        clock.now += 29
        assert asked() == [1, 0, 1]
        clock.now += 2
        assert asked() == [1, 1, 1]
        members[0].status = members[2].status = 401
        members[1].status = 200
        # In vain, so that the one left alone gets it all the same.
        assert asked() == [1, 1, 1]
        assert asked() == [0, 1, 0]
        members[1].status = 503
        with pytest.raises(Unavailable):
            asked()
        members[2].status = 200
        assert asked() == [1, 1, 1]


def test_one_that_hangs_is_not_waited_for_by_each_write(unanswering: str, receiver: Receiver) -> None:
    target = sink(f"{unanswering},{receiver.url}", request_timeout="2")
    target.write(batch(raised()))
    started = time.monotonic()
    for version in range(2, 5):
        target.write(batch(raised(version=version)))
    assert time.monotonic() - started < 2
    assert len(receiver.posts) == 4


def test_one_that_hangs_holds_the_others_up_for_no_longer_than_a_time_out(unanswering: str, receiver: Receiver) -> None:
    target = sink(f"{unanswering},{receiver.url}", request_timeout="1")
    started = time.monotonic()
    assert target.write(batch(raised())).records == {("alert", Outcome.WRITTEN): 1}
    assert time.monotonic() - started < 8


def test_one_that_is_not_ready_does_not_pass_the_check(receiver: Receiver) -> None:
    receiver.status = 503
    with pytest.raises(Unavailable, match="503"):
        sink(receiver.url).check()
    with pytest.raises(Unavailable):
        sink(NOWHERE).check()


def test_a_base_path_and_headers_are_kept() -> None:
    seen: list[Request] = []

    def answer(request: Request) -> tuple[int, object]:
        seen.append(request)
        return 200, ""

    with stub(answer) as url:
        target = sink(f"{url}/alertmanager/", alertmanager_headers="Authorization: Bearer s3cret")
        target.check()
        target.write(batch(raised()))
    assert [one.path for one in seen] == ["/alertmanager/-/ready", "/alertmanager/api/v2/alerts"]
    assert seen[0].headers["authorization"] == "Bearer s3cret"


def test_what_is_remembered_is_bounded(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.alerting.firing._MOST_REMEMBERED", 2)
    target, one = sink(receiver.url), new_fingerprint()
    target.write(batch(raised("NEW", one)))
    assert target.write(batch(state(one, version=2))).records == {("problem", Outcome.NOT_KEPT): 1}
    target.write(batch(*(raised("NEW", new_fingerprint()) for _ in range(2))))
    assert target.write(batch(state(one, version=3))).records == {("problem", Outcome.WRITTEN): 1}


def test_settings_that_cannot_be_are_a_users_mistake() -> None:
    with pytest.raises(UserError, match="TRACELINK_ALERTMANAGER_URL is not a valid URL"):
        sink("http://a, not one")
    with pytest.raises(UserError, match="TRACELINK_ZIPKIN_UI_URL"):
        sink("http://a", zipkin_ui_url="http://z%zz")
    with pytest.raises(UserError, match="TRACELINK_ALERTMANAGER_HEADERS: header 1"):
        sink("http://a", alertmanager_headers="s3cret")


def test_the_link_to_the_log_lines_names_the_data_view_and_the_trace(receiver: Receiver) -> None:
    target = sink(receiver.url, kibana_url="https://kibana.example.org/base/")
    target.write(batch(raised()))
    url = receiver.alerts[0]["annotations"]["logs_url"]
    assert url.startswith("https://kibana.example.org/base/app/discover#/?_g=(time:(from:")
    assert not set(url) & set("'\"<> |")
    assert f"query:'trace.id : \"{TRACE_ID}\"'" in unquote(url)
    assert "index:tracelink-logs," in unquote(url)
    assert "from:'2025-12-31T23:45:00.000Z',to:'2026-01-01T00:15:00.000Z'" in unquote(url)


def test_the_settings_know_every_event() -> None:
    assert get_args(Event) == _EVENTS
