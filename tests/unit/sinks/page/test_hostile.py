"""Hostile content in every field is text: over all pages and downloads, and in the addresses themselves."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from pipeline.model.problems import Problem
from tests.kit.alerts import problem
from tests.kit.markup import Markup
from tests.kit.page import TRACE, Answer, OwnPage, Store, line, own_page, part, span

ID = TRACE.hex()
BENIGN = "benign"
MEGABYTE = 1_000_000
HOSTILE = {
    "script": "<script>alert(1)</script>",
    "image": "<img src=x onerror=alert(1)>",
    "double quote": '" onmouseover="alert(1)" style="x:y" autofocus="',
    "single quote": "' onmouseover='alert(1)' x='",
    "closing": "</title></textarea></pre></details></ul></main><svg/onload=alert(1)>",
    "comment": "<!--",
    "character data": "]]><![CDATA[",
    "template": "{{ 7 * 7 }}{% raw %}${7*7}",
    "entity": "&lt;script&gt;&#x3c;script",
    "ansi": "\x1b[31mred\x1b]0;owned\x07\x9b2J",
    "right to left": "abc\u202egnp.exe\u2066\u200f",
    "nul": "a\x00b",
    "lone surrogate": "a\ud800b\udfff",
    "lines": "a\r\nb\u2028c\u2029d\x85e",
    "path": "../../../etc/passwd",
    "other site": "//evil.example.org/",
    "javascript": "javascript:alert(1)",
    "query": "a?b=c&d=e#f%2e%00+;",
    "invisible": "\u200b\ufeff\u00ad",
    "blank": " \t\n ",
}


def spans_of(evil: Callable[[str], str]) -> list[dict[str, Any]]:
    """Return spans in whose fields `evil` writes, made different by a word."""
    attributes = json.dumps({_whole(evil("attribute")): [_whole(evil("of event"))]})
    endpoint = {"serviceName": evil("service"), "ipv4": evil("ipv4"), "ipv6": evil("ipv6"), "port": 80}
    return [
        span("1"),
        span(
            _whole(evil("id")),
            "1",
            name=evil("name"),
            kind=evil("kind"),
            localEndpoint=endpoint,
            remoteEndpoint=endpoint,
            tags={"error": evil("error"), evil("tag"): evil("value"), "exception.message": evil("exception")},
            annotations=[
                {"timestamp": 5, "value": evil("event")},
                {"timestamp": 5, "value": f'"exception": {attributes}'},
            ],
        ),
        span("3", evil("missing parent")),
    ]


def _whole(text: str) -> str:
    """Return a text without half characters, which there are none of in UTF-8."""
    return text.encode("utf-8", "replace").decode()


def lines_of(evil: Callable[[str], str]) -> list[dict[str, Any]]:
    """Return log lines in the same way."""
    fields: dict[str, Any] = {
        "service": {"name": evil("service")},
        "log": {"level": evil("level"), "logger": evil("logger")},
        "error": {"type": evil("type"), "message": evil("error"), "stack_trace": evil("stack")},
        "labels": {evil("label"): evil("value")},
    }
    lines = [
        line(evil("line of a span"), 1, _whole(evil("id")), **fields),
        line(evil("line without a span"), 2, **fields),
        line(evil("error line"), 3, "1", **(fields | {"log": {"level": "ERROR"}})),
    ]
    # The id of a document has at most 512 bytes.
    return [one | {"_id": _whole(one["_id"])[:500]} for one in lines]


def parts_of(evil: Callable[[str], str]) -> list[dict[str, Any]]:
    """Return the document of a part in the same way."""
    made = part(spans_of(evil), error={"type": evil("type"), "message": evil("message")})
    made["trace"] |= {"root": {"name": evil("root"), "service": evil("of root")}, "errored": True}
    return [made | {"service": {"name": [evil(f"service {number}") for number in range(9)]}}]


def problems_of(evil: Callable[[str], str]) -> list[Problem]:
    """Return problems in the same way."""

    def text(word: str) -> str:
        return _whole(evil(word))

    fields = (
        "severity",
        "rule",
        "service",
        "operation",
        "exception",
        "message",
        "httpStatus",
        "peer",
        "logger",
        "root",
    )
    said = {name: text(name) for name in fields}
    many: dict[str, object] = {
        "labels": {text("label"): text("value")},
        "tags": {text("tag"): text("value")},
        "services": [text(f"service {number}") for number in range(9)],
        "lines": [{"timestamp": 1, "service": text("s"), "level": text("l"), "message": text("m")}],
        "runbook": text("run")[:500],
        "newest": [{"traceId": ID, "time": 1, "duration": 1}],
    }
    # A line break in an address leads to no page.
    fingerprint = text("fingerprint").replace("\n", "")[:500]
    without = many | {"newest": [], "slowest": None, "firstSeen": 1}
    return [problem(fingerprint, **said, **many), problem("plain", **said, **without)]


@contextmanager
def page_with(text: str) -> Iterator[OwnPage]:
    """Make a page of which every field has a text."""

    def evil(word: str) -> str:
        return f"{text}{word}{text}"

    def answer(request: Any) -> tuple[int, object] | None:  # noqa: ANN401 - of the stub
        if "_field_caps" in request.path:
            return 200, json.dumps({"indices": [evil("index")], "fields": {}}).encode()
        status, found = store.whole(request)
        return status, json.dumps(found).encode()

    store = Store(parts_of(evil), lines_of(evil), answer)
    with own_page(store, problems_of(evil)) as page:
        yield page


def addresses(page: OwnPage) -> list[str]:
    """Return the addresses of all pages, and of each record in the trace."""
    records = [f"/traces/{ID}?at={quote(row.address.encode('utf-8', 'replace'), safe='')}" for row in _rows(page)]
    fingerprints = [f"/problems/{quote(one['fingerprint'], safe='')}" for one in page.problems.all()]
    return [
        "/",
        "/?status=all&muted=1",
        "/traces",
        "/traces?text=x&operation=y&tag=a=b",
        f"/traces/{ID}",
        f"/traces/{ID}?level=ERROR",
        *records,
        *fingerprints,
    ]


def _rows(page: OwnPage) -> list[Any]:
    found = page.views._traces.find(TRACE)  # noqa: SLF001 - the rows of the page that is shown
    assert found
    return list(found[1].rows)


def check(found: Answer) -> Markup:
    """Check a page by itself; return what is in it."""
    assert found.status == HTTPStatus.OK, found.text
    markup = Markup.of(found.text)
    assert markup.open == []
    for tag, attributes in markup.elements:
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        assert tag != "script" or attributes == {"src": "/static/live.js", "defer": None}
        assert tag not in {"style", "img", "iframe", "object", "base", "textarea"}
    for url in markup.values("href", "action", "src"):
        assert url in {"", "?", "#main", "/", "/go", "/login"} or url.startswith(
            ("?", "/traces", "/problems", "/static/", "http")
        ), url
        assert not url.startswith("//")
        assert not {".", ".."} & set(url.partition("?")[0].split("/"))
    assert markup.text.replace("\n", "").replace("\t", "").isprintable()
    return markup


@pytest.fixture(scope="module")
def shapes() -> list[list[tuple[str, tuple[str, ...]]]]:
    """Give the elements of each page with texts that harm nobody."""
    with page_with(BENIGN) as page:
        return [check(page.get(one)).shape for one in addresses(page)]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_adds_no_element_and_no_attribute(
    name: str, shapes: list[list[tuple[str, tuple[str, ...]]]]
) -> None:
    with page_with(HOSTILE[name]) as page:
        found = [check(page.get(one)).shape for one in addresses(page)]
    for given, shape in zip(found, shapes, strict=True):
        assert given == shape


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_downloaded_as_it_is_or_safe_for_a_terminal(name: str) -> None:
    with page_with(HOSTILE[name]) as page:
        whole = page.get(f"/traces/{ID}.json")
        assert whole.status == HTTPStatus.OK
        assert whole.header("content-type") == "application/json"
        assert [one["id"] for one in json.loads(whole.body)["spans"]] == [one["id"] for one in _spans(page)]
        assert json.loads(page.get(f"/traces/{ID}.zipkin.json").body) == json.loads(whole.body)["spans"]
        text = page.get(f"/traces/{ID}.txt")
        assert text.header("content-type").startswith("text/plain")
        assert text.text.replace("\n", "").isprintable()


def _spans(page: OwnPage) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.store.parts[0]["spans"]
    return found


@pytest.mark.parametrize("name", [one for one in HOSTILE if one != "lone surrogate"])
def test_a_hostile_address_is_text_too(name: str) -> None:
    text = HOSTILE[name]
    with page_with(BENIGN) as page:
        plain = [Markup.of(one.text).shape for one in _asked(page, BENIGN)]
        for found, shape in zip(_asked(page, text), plain, strict=True):
            assert found.status < HTTPStatus.INTERNAL_SERVER_ERROR
            markup = Markup.of(found.text)
            assert markup.open == []
            if text.strip():
                assert markup.shape == shape


def _asked(page: OwnPage, text: str) -> list[Answer]:
    names = ("service", "severity", "text", "status", "level", "at", "page", "limit", "x")
    fields = urlencode(dict.fromkeys(names, text))
    search = urlencode({"service": text, "operation": text, "text": text, "tag": f"a={text}", "x": text})
    return [
        page.get(f"/?{fields}"),
        page.get(f"/traces?{search}"),
        page.get(f"/traces?{urlencode({'from': text})}"),
        page.get(f"/traces/{ID}?{fields}"),
        page.get(f"/traces/{quote(text + 'x', safe='')}"),
        page.get(f"/problems/{quote(text + 'x', safe='')}"),
        page.get(f"/{quote(text + 'x', safe='')}"),
    ]


def test_a_megabyte_in_every_field_gives_pages_of_a_bounded_size() -> None:
    with page_with("<") as page:
        page.store.parts = parts_of(_large)
        page.store.lines = lines_of(_large)
        page.topic.put(*problems_of(lambda word: word + "<" * 10_000))
        for one in addresses(page):
            found = page.get(one)
            check(found)
            assert len(found.body) < 3 * MEGABYTE, one
        # Without a record at full length.
        assert len(page.get(f"/traces/{ID}?text=none").body) < 100_000


def _large(word: str) -> str:
    return word + "<" * MEGABYTE


def test_an_address_that_is_too_long_is_refused() -> None:
    with page_with(BENIGN) as page:
        for target in (f"/traces/{ID}?text={'x' * 5_000}", "/" + "x" * 5_000, "/?" + "a=b&" * 2_000):
            found = page.get(target)
            assert found.status == HTTPStatus.REQUEST_URI_TOO_LONG
            assert "too long" in found.text
            assert len(found.body) < 10_000


def test_ten_thousand_services_are_a_page_like_any_other() -> None:
    spans = [span("1")] + [
        span(f"{number:x}", "1", kind="SERVER", timestamp=1, localEndpoint={"serviceName": f"service-{number}"})
        for number in range(2, 10_002)
    ]
    spans[0] |= {"kind": "CLIENT"}
    made = part(spans, service={"name": [f"service-{number}" for number in range(10_001)]})
    with own_page(Store([made])) as page:
        trace = page.get(f"/traces/{ID}")
        assert "10,001 spans and 0 log lines of 10001 services" in check(trace).text
        assert len(trace.body) < MEGABYTE
        assert "So were the clocks of 9,990 more services." in trace.text
        assert "and 9995 more" in check(page.get("/traces")).text
        assert "service-7777" in check(page.get(f"/traces/{ID}?service=service-7777")).text


@pytest.mark.parametrize("odd", ["a  b", "a\u202eb", "a\tb", " a", "<b>", 'a"b', "x" * 300])
def test_a_service_of_any_name_can_be_chosen(odd: str) -> None:
    spans = [span("1"), span("2", "1", localEndpoint={"serviceName": odd})]
    with own_page(Store([part(spans)]), [problem("a1", service=odd, services=[odd])]) as page:
        for target in (f"/traces/{ID}", "/"):
            values = Markup.of(page.get(target).text).values("value")
            assert odd in values
        assert "op 2" in page.get(f"/traces/{ID}?{urlencode({'service': odd})}").text
        assert "1 of 1 known problems" in page.get(f"/?{urlencode({'service': odd})}").text


def test_records_that_have_almost_nothing_are_shown() -> None:
    bare = [{"traceId": ID, "id": "1"}, {"traceId": ID, "id": "2", "parentId": "1", "tags": {"error": ""}}]
    store = Store([{"_id": "a", "spans": bare, "trace": {"id": ID}}], [{"_id": "b", "trace": {"id": ID}}])
    with own_page(store) as page:
        for target in (f"/traces/{ID}", f"/traces/{ID}?at=b", f"/traces/{ID}?at=1", "/traces", "/traces?text=x"):
            check(page.get(target))
        assert "(no name)" in page.get(f"/traces/{ID}").text
        assert "(empty)" in page.get(f"/traces/{ID}").text
        assert page.get(f"/traces/{ID}.txt").status == HTTPStatus.OK


@pytest.mark.parametrize(
    ("runbook", "is_link"),
    [
        ("https://runbooks.example.org/a?b=c&d", True),
        ("http://r", True),
        ("javascript:alert(1)", False),
        ("JavaScript:alert(1)//https://", False),
        ("data:text/html,x", False),
        (" https://runbooks.example.org", False),
        ("//evil.example.org", False),
        ("see the wiki", False),
        ("https://" + "x" * 3_000, False),
    ],
)
def test_only_a_runbook_with_an_address_is_a_link(runbook: str, is_link: bool) -> None:  # noqa: FBT001 - a parameter
    with own_page(Store(), [problem("a1", runbook=runbook)]) as page:
        assert (runbook in Markup.of(page.get("/problems/a1").text).values("href")) is is_link


def test_a_trace_deeper_than_any_screen_has_pages_of_a_bounded_size() -> None:
    spans = [span(f"{number:x}", f"{number - 1:x}" if number else None) for number in range(5_000)]
    with own_page(Store([part(spans)])) as page:
        last = page.get(f"/traces/{ID}?page=13")
        assert "page 13 of 13" in check(last).text
        assert f"op {4_999:x}" in last.text
        assert len(last.body) < MEGABYTE / 2
        assert check(page.get(f"/traces/{ID}?at={4_999:x}")).text.count("deep") > 100
