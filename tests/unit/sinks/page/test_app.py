"""The addresses of the page over HTTP: answers, headers, login, and what a slow store leaves of it."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from html import unescape
from http import HTTPStatus
from threading import Event
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from sinks.page.access import COOKIE
from tests.kit.alerts import problem
from tests.kit.http_stub import Request
from tests.kit.page import TRACE, Answer, OwnPage, Store, answer, failed, line, own_page, part, span
from tests.kit.waiting import eventually

ID = TRACE.hex()
TOKEN = "0123456789abcdef"  # noqa: S105 - of a test
SPANS = [span("1"), failed("2", "1")]
LINES = [line("hello", 1, "1"), line("broken", 2, "2", log={"level": "ERROR"})]
PROBLEM = problem("a1b2", newest=[{"traceId": ID, "time": 1, "duration": 5}])
ADDRESSES = ["/", "/problems/a1b2", "/traces", f"/traces/{ID}", "/go?id=a1", "/login", f"/traces/{ID}.json"]
_MOST_WAITING = 10


@pytest.fixture
def store() -> Store:
    return Store([part(SPANS)], LINES)


@pytest.fixture
def page(store: Store) -> Iterator[OwnPage]:
    with own_page(store, [PROBLEM]) as made:
        yield made


@pytest.mark.parametrize(
    "target", [*ADDRESSES, "/nowhere", "/static/style.css", "/static/nowhere", "/problems/none", "/traces/x", "/?\xff"]
)
def test_every_answer_forbids_the_browser_all_but_its_own(page: OwnPage, target: str) -> None:
    for host in ("127.0.0.1:7070", "evil.example.org"):
        found = page.get(target, headers={"host": host})
        policy = dict(one.strip().partition(" ")[::2] for one in found.header("content-security-policy").split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["base-uri"] == policy["frame-ancestors"] == "'none'"
        assert {one for one in policy.values() if one != "'none'"} == {"'self'"}
        assert found.header("x-content-type-options") == "nosniff"
        assert found.header("referrer-policy") == "no-referrer"
        assert found.header("cross-origin-opener-policy") == "same-origin"
        assert found.header("cross-origin-resource-policy") == "same-origin"
        assert found.header("cache-control") == ("" if target.startswith("/static/") else "no-store")


@pytest.mark.parametrize("host", ["evil.example.org", "[", "", "127.0.0.1@evil.example.org", "x/static/?"])
def test_a_page_of_another_site_sees_nothing(page: OwnPage, host: str) -> None:
    for target in ("/", "/problems/a1b2", "/traces", f"/traces/{ID}", f"/traces/{ID}.json", "/go?id=a1", "/live"):
        found = page.get(target, headers={"host": host})
        assert found.status == HTTPStatus.FORBIDDEN
        assert "Only this machine, under its own name" in found.text
    assert page.store.asked == []


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_nothing_is_written_by_any_method(page: OwnPage, method: str) -> None:
    for target in (*ADDRESSES, "/static/style.css"):
        if (target, method) != ("/login", "POST"):
            found = page.get(target, method=method)
            assert found.status == HTTPStatus.METHOD_NOT_ALLOWED
            assert found.header("allow") == ("GET, HEAD, POST" if target == "/login" else "GET, HEAD")
            assert "read only" in found.text
    assert page.store.asked == []


@pytest.mark.parametrize(
    ("target", "status", "said"),
    [
        ("/nowhere", 404, "There is no such page."),
        ("/static/nowhere.css", 404, "There is no such page."),
        ("/static/../views.py", 404, "There is no such page."),
        ("/static/%2e%2e/views.py", 404, "There is no such page."),
        ("/problems/none", 404, "There is no problem none. It may have been removed by retention."),
        ("/traces/xyz", 400, "&#39;xyz&#39; is not a trace id"),
        ("/traces/" + "0" * 32, 400, "is not a trace id"),
        ("/traces/xyz.json", 400, "is not a trace id"),
        ("/traces/../../etc/passwd", 400, "is not a trace id"),
        ("/traces?min=fast", 400, "&#39;min&#39;: &#39;fast&#39; is no duration"),
        ("/traces?from=1900-01-01", 400, "1970"),
    ],
)
def test_a_wrong_address_gets_a_page_in_words(page: OwnPage, target: str, status: int, said: str) -> None:
    found = page.get(target)
    assert found.status == status
    assert found.header("content-type") == "text/html; charset=utf-8"
    assert said in found.text


def test_a_trace_that_is_not_there_may_come(page: OwnPage) -> None:
    page.store.parts, page.store.lines = [], []
    for target in (f"/traces/{ID}", f"/traces/{ID}.json", f"/traces/{ID}.txt"):
        found = page.get(target)
        assert found.status == HTTPStatus.NOT_FOUND
        assert "Elasticsearch has nothing of this trace" in found.text
        assert "data-again" in found.text
    shown = page.get("/problems/a1b2")
    assert shown.status == HTTPStatus.OK
    assert "Its lines, as the alert has them" in shown.text
    assert "declined by the bank" in shown.text


def test_a_trace_is_shown_with_its_lines_in_every_spelling_of_its_id(page: OwnPage) -> None:
    spelled = [ID, ID.upper(), f"00-{ID}-00f067aa0ba902b7-01", f"1-{ID[:8]}-{ID[8:]}"]
    for one in spelled:
        found = page.get(f"/traces/{quote(one)}")
        assert found.status == HTTPStatus.OK
        assert f"Trace {ID}" in found.text
        for said in ("op 1", "op 2", "hello", "broken", "the error began here", "2 spans and 2 log lines"):
            assert said in found.text
    # What a person pastes into the field for a trace id leads there.
    led = page.get("/go?" + urlencode({"id": f" 00-{ID}-00f067aa0ba902b7-01\n"}))
    assert (led.status, led.header("location")) == (303, f"/traces/00-{ID}-00f067aa0ba902b7-01")
    assert page.get("/go?id=" + quote("//evil.example.org/?a", safe="")).header("location") == (
        "/traces/%2F%2Fevil.example.org%2F%3Fa"
    )
    assert page.get("/go").header("location") == "/traces/"


def test_a_trace_is_downloaded_as_json_as_text_and_for_zipkin(page: OwnPage) -> None:
    whole = page.get(f"/traces/{ID}.json")
    assert whole.header("content-type") == "application/json"
    assert json.loads(whole.body) == {
        "traceId": ID,
        "errored": False,
        "complete": True,
        "spans": SPANS,
        "logs": LINES,
    }
    assert json.loads(page.get(f"/traces/{ID}.zipkin.json").body) == SPANS
    text = page.get(f"/traces/{ID}.txt")
    assert text.header("content-type") == "text/plain; charset=utf-8"
    assert text.text.splitlines()[0].startswith(f"trace {ID}: 2 spans and 2 log lines")


def test_the_list_shows_problems_and_keeps_its_filters_in_the_address(page: OwnPage) -> None:
    page.topic.put(*[problem(f"c{number:03}", service="shop") for number in range(120)])
    _until(page, "/", "121 firing")
    found = page.get("/?service=shop&text=declined")
    assert "120 of 121 known problems" in found.text
    assert 'href="?service=shop&amp;text=declined&amp;page=2"' in found.text
    assert '<option value="shop" selected>shop</option>' in found.text
    assert "page 2 of 2" in page.get("/?service=shop&text=declined&page=7").text
    assert "No problem matches the filters." in page.get("/?text=nowhere").text


def test_a_problem_has_its_traces_rule_runbook_and_links(page: OwnPage) -> None:
    text = page.get("/problems/a1b2").text
    for said in (
        "CardDeclined",
        "the card was declined",
        "payments",
        'href="https://runbooks.example.org/payments"',
        f'href="/traces/{ID}"',
        f'href="http://127.0.0.1:9411/zipkin/traces/{ID}"',
        "the error began here",
        "slowest",
        "op 2",
    ):
        assert said in text
    assert "Kibana" not in text
    assert "Alertmanager" not in text


def test_a_problem_keeps_the_trace_that_its_address_names_and_links_to_the_newest(page: OwnPage) -> None:
    assert "Newest trace" in page.get("/problems/a1b2").text
    assert "Newest trace" in page.get(f"/problems/a1b2?trace={ID}").text
    older = page.get(f"/problems/a1b2?trace={'7' * 32}").text
    assert "Newest trace" not in older
    assert f'href="/traces/{"7" * 32}"' in older
    assert '<a href="/problems/a1b2">show the newest trace</a>' in older
    assert "is not a trace id" in page.get("/problems/a1b2?trace=<x>").text


def test_the_alert_of_a_problem_is_linked_if_alertmanager_has_an_address(store: Store) -> None:
    with own_page(store, [PROBLEM], alertmanager_ui_url="https://alerts.example.org/") as page:
        link = "https://alerts.example.org/#/alerts?filter=%7Bfingerprint%3D%22a1b2%22%7D"
        assert f'<a href="{link}">Alert in Alertmanager</a>' in page.get("/problems/a1b2").text


def test_kibana_is_linked_if_it_has_an_address(store: Store) -> None:
    with own_page(store, [PROBLEM], kibana_url="https://kibana.example.org") as page:
        assert "https://kibana.example.org/app/discover#/" in page.get("/problems/a1b2").text
        assert "https://kibana.example.org/app/discover#/" in page.get(f"/traces/{ID}").text


def test_the_search_shows_traces_over_time_and_what_it_asks(page: OwnPage) -> None:
    text = page.get("/traces?service=cart&errored=1&min=5&from=2h").text
    assert f'href="/traces/{ID}"' in text
    assert "cart get /cart" in text
    assert text.count("<rect") == 4
    for asked in ("GET traces-*/_search", "&#34;service.name&#34;: &#34;cart&#34;", "&#34;gte&#34;: 5000"):
        assert asked in text
    assert 'value="2h"' in text
    by_words = page.get("/traces?text=hello").text
    assert f'href="/traces/{ID}?at=' in by_words
    assert "GET logs-*/_search" in by_words
    assert "GET traces-*/_search" in by_words


def test_the_search_says_what_it_could_not_look_at(page: OwnPage) -> None:
    def shorter(request: Request) -> tuple[int, object] | None:
        if "_search" not in request.path:
            return None
        return 200, {"timed_out": True, "_shards": {"failed": 2}, "hits": {"hits": []}}

    page.store.answer = shorter
    text = page.get("/traces?operation=x").text
    assert "Elasticsearch did not finish in time" in text
    assert "2 shards of Elasticsearch did not answer" in text
    assert "Traces in traces-1 are not found: these indices are older, and have no operations." in text
    assert "No trace matches" in text


def test_the_search_has_a_last_page(page: OwnPage) -> None:
    page.store.parts = [part(_id=f"{number}") for number in range(51)]
    assert 'href="?service=cart&amp;page=3"' in page.get("/traces?service=cart&page=2").text
    last = page.get("/traces?page=100").text
    assert "Next" not in last
    assert "page 100 of 100" in last


def test_a_trace_is_not_asked_for_twice_within_a_moment(page: OwnPage) -> None:
    page.get(f"/traces/{ID}?page=1")
    asked = len(page.store.asked)
    page.get(f"/traces/{ID}?page=1&text=hello")
    assert len(page.store.asked) == asked


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
def test_a_store_that_refuses_is_said(page: OwnPage, status: int) -> None:
    page.store.answer = lambda _: (status, {"error": {"type": "x", "reason": "no"}, "status": status})
    for target in (f"/traces/{ID}", "/traces", f"/traces/{ID}.json"):
        found = page.get(target)
        assert found.status == HTTPStatus.SERVICE_UNAVAILABLE
        assert "Elasticsearch at http" in found.text
    _has_its_problem(page, "Elasticsearch at http")


def test_what_is_not_elasticsearch_is_said(page: OwnPage) -> None:
    page.store.answer = lambda _: (200, b"<html>")
    assert "is not Elasticsearch" in page.get("/traces").text
    _has_its_problem(page, "is not Elasticsearch")


def test_a_fault_of_the_page_is_an_answer_and_a_line_in_its_log(
    page: OwnPage, caplog: pytest.LogCaptureFixture
) -> None:
    page.store.parts = [part([{}])]
    found = page.get(f"/traces/{ID}")
    assert found.status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert "by a fault of its own" in found.text
    assert "Traceback" not in found.text
    assert "a page failed" in caplog.text


def _has_its_problem(page: OwnPage, said: str) -> None:
    """Check that the page of a problem shows what it has, and why there is no trace."""
    found = page.get("/problems/a1b2")
    assert found.status == HTTPStatus.OK
    assert "the card was declined" in found.text
    assert said in found.text


def test_a_store_that_does_not_answer_leaves_the_problems_and_pages_that_say_so(store: Store) -> None:
    waiting = Event()

    def wait(_: Request) -> None:
        waiting.wait(_MOST_WAITING)

    store.answer = wait
    with own_page(store, [PROBLEM], store_timeout=0.4, max_searches=2) as page:

        async def ask() -> list[Any]:
            searches = [answer(page.asgi, f"/traces/{ID}?{number}") for number in range(6)]
            return await asyncio.gather(*searches, answer(page.asgi, "/"))

        *searches, problems = asyncio.run(ask())
        waiting.set()
    assert {one.status for one in searches} == {HTTPStatus.SERVICE_UNAVAILABLE}
    said = [one.text for one in searches]
    assert sum("does not answer" in one for one in said) >= 2
    assert all("does not answer" in one or "Too many people ask" in one for one in said)
    assert problems.status == HTTPStatus.OK
    assert "CardDeclined" in problems.text


def test_a_token_is_given_once(store: Store) -> None:
    with own_page(store, [PROBLEM], page_token=TOKEN) as page:
        asked = page.get(f"/traces/{ID}?text=a b&page=2")
        assert asked.status == HTTPStatus.UNAUTHORIZED
        assert f'name="target" value="/traces/{ID}?text=a%20b&amp;page=2"' in asked.text
        assert page.store.asked == []

        wrong = page.post("/login", urlencode({"token": TOKEN[:-1], "target": "/traces"}))
        assert (wrong.status, wrong.header("set-cookie")) == (401, "")
        assert "This is not the token." in wrong.text
        assert 'value="/traces"' in wrong.text

        right = page.post("/login", urlencode({"token": TOKEN, "target": f"/traces/{ID}?page=2"}))
        assert (right.status, right.header("location")) == (303, f"/traces/{ID}?page=2")
        attributes = {one.strip().lower() for one in right.header("set-cookie").split(";")[1:]}
        assert {"httponly", "samesite=lax", "path=/"} <= attributes
        assert TOKEN not in right.header("set-cookie")

        assert page.get("/", headers={"cookie": right.cookie}).status == HTTPStatus.OK
        assert page.get("/", headers={"cookie": f"{COOKIE}={TOKEN}"}).status == HTTPStatus.UNAUTHORIZED
        assert page.get("/login").status == HTTPStatus.UNAUTHORIZED
        assert page.get("/static/style.css").status == HTTPStatus.OK
        for target in ("/static/../traces", "/login/../traces", "/loginx", "/static//../", "/live"):
            assert page.get(target).status in {HTTPStatus.NOT_FOUND, HTTPStatus.UNAUTHORIZED}
    with own_page(store, page_token=TOKEN[::-1]) as changed:
        assert changed.get("/", headers={"cookie": right.cookie}).status == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example.org/",
        "//evil.example.org/",
        "/\\evil.example.org/",
        "\\\\evil.example.org",
        "/\t/evil.example.org",
        "/\n/evil.example.org",
        "\x00//evil.example.org",
        " //evil.example.org",
        "javascript:alert(1)",
        "evil",
        "",
        "/a\r\nset-cookie: x=1",
    ],
)
def test_a_login_leads_to_no_other_site(store: Store, target: str) -> None:
    with own_page(store, page_token=TOKEN) as page:
        right = page.post("/login", urlencode({"token": TOKEN, "target": target}))
        assert (right.status, right.header("location")) == (303, "/")
        wrong = page.post("/login", urlencode({"token": "wrong", "target": target}))
        assert 'name="target" value="/"' in wrong.text


def test_a_login_leads_to_the_address_that_was_asked_for_whatever_it_holds(store: Store) -> None:
    with own_page(store, [PROBLEM], page_token=TOKEN) as page:
        for target in ("/problems/a%2Fb%3Fc%23d%20e%C3%A9", "//evil.example.org/", "/?text=%C3%A9%2B+x"):
            hidden = _target(page.get(target))
            led = page.post("/login", urlencode({"token": TOKEN, "target": hidden})).header("location")
            assert led == ("/" if target.startswith("//") else target)
        # An address that is longer than a form may be does not keep the token out.
        hidden = _target(page.get("/?text=" + "x" * 3_000))
        assert page.post("/login", urlencode({"token": TOKEN, "target": hidden})).status == HTTPStatus.SEE_OTHER


@pytest.mark.parametrize(
    "form", ["", "token", "%", "token=" + "x" * 5_000, "\xff=\xff", "&&&", "token=a&token=" + TOKEN]
)
def test_a_form_that_is_none_is_a_wrong_token(store: Store, form: str) -> None:
    with own_page(store, page_token=TOKEN) as page:
        found = page.post("/login", form)
        assert (found.status, found.header("set-cookie")) == (401, "")


def test_without_a_token_nobody_logs_in(page: OwnPage) -> None:
    found = page.post("/login", urlencode({"token": "", "target": "/"}))
    assert (found.status, found.header("set-cookie")) == (401, "")


def test_a_user_is_known_by_the_proxy(store: Store) -> None:
    with own_page(store, [PROBLEM], page_user_header="X-User", page_proxies="10.0.0.9/32") as page:
        assert page.get("/", headers={"x-user": "ann"}, peer="10.0.0.9").status == HTTPStatus.OK
        for peer, headers in (("10.0.0.8", {"x-user": "ann"}), ("10.0.0.9", {}), ("127.0.0.1", {})):
            assert page.get("/", headers=headers, peer=peer).status == HTTPStatus.FORBIDDEN


def test_a_change_of_the_problems_is_told_to_who_listens(page: OwnPage) -> None:
    sent: list[bytes] = []

    async def listen() -> None:
        changed = asyncio.Event()

        async def send(message: Any) -> None:  # noqa: ANN401 - of ASGI
            sent.append(message.get("body", b""))
            if message["type"] == "http.response.start":
                assert (b"content-type", b"text/event-stream; charset=utf-8") in message["headers"]
            if b"changed" in sent[-1] and sum(b"changed" in one for one in sent) == 1:
                page.topic.put(problem("d4"))
            elif b"changed" in sent[-1]:
                changed.set()

        async def receive() -> Any:  # noqa: ANN401 - as above
            await changed.wait()
            return {"type": "http.disconnect"}

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/live",
            "raw_path": b"/live",
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1:7070")],
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 7070),
        }
        with suppress(asyncio.CancelledError):
            await page.asgi(scope, receive, send)

    asyncio.run(asyncio.wait_for(listen(), 60))
    # The first one is of what has changed since the page was made.
    assert [one for one in sent if b"changed" in one] == [b"event: changed\ndata:\n\n"] * 2
    _until(page, "/", "2 firing")


def test_a_list_that_may_be_out_of_date_says_so(page: OwnPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(page.problems), "failure", "Kafka at nowhere does not answer.")
    assert "The list may be out of date: Kafka at nowhere does not answer." in page.get("/").text
    found = page.get("/problems/none")
    assert found.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert "Kafka at nowhere does not answer." in found.text


def test_only_a_list_that_is_up_to_date_says_that_there_is_no_problem(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with own_page(store) as page:
        assert "No problem is known." in page.get("/").text
        monkeypatch.setattr(type(page.problems), "failure", "Kafka at nowhere does not answer.")
        assert "No problem is known." not in page.get("/").text


def _target(asked: Answer) -> str:
    """Return what the form of a login keeps of the address."""
    return unescape(asked.text.partition('name="target" value="')[2].partition('"')[0])


def _until(page: OwnPage, target: str, said: str) -> None:
    eventually(lambda: said in page.get(target).text)
