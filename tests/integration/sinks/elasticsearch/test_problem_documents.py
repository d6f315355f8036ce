"""Problems in Elasticsearch: one document each, which only a newer state replaces."""

from typing import Any, cast

import pytest

from pipeline.analysis.redaction import Redactor
from pipeline.local.stack import Endpoints
from pipeline.model.problems import PROBLEM, Problem
from sinks.base.contract import Batch, Outcome, ProblemState
from sinks.elasticsearch.problems import problem_document
from sinks.elasticsearch.settings import ElasticsearchSettings
from sinks.elasticsearch.sink import ElasticsearchSink
from tests.kit.http import http_request
from tests.kit.http_stub import Request, stub
from tests.kit.sink_examples import START, message
from tests.kit.sink_targets import metrics, search
from tracelink.errors import Unavailable

SEEN = START // 1000


def problem(fingerprint: str = "f1", version: int = 1, **fields: object) -> Problem:
    made: dict[str, object] = {
        "fingerprint": fingerprint,
        "version": version,
        "status": "FIRING",
        "announced": True,
        "muted": False,
        "severity": "critical",
        "rule": "payments",
        "labels": {"team": "shop"},
        "runbook": "https://wiki.example.org/pay",
        "service": "payment",
        "operation": "POST /charges",
        "exception": "GatewayError",
        "message": "no answer",
        "httpStatus": "503",
        "grpcStatus": None,
        "peer": "bank",
        "logger": None,
        "tags": {"http.method": "POST"},
        "services": ["cart", "payment"],
        "root": "cart POST /orders",
        "lines": [{"timestamp": START, "service": "payment", "level": "ERROR", "message": "no answer"}],
        "firstSeen": SEEN,
        "lastSeen": SEEN + 60_000,
        "arrived": SEEN + 61_000,
        "firingSince": SEEN,
        "known": True,
        "count": 3,
        "window": SEEN,
        "inWindow": 3,
        "inWindowBefore": 0,
        "overThreshold": False,
        "newest": [{"traceId": "a1", "time": SEEN + 60_000, "duration": 900}],
        "slowest": {"traceId": "b2", "time": SEEN, "duration": 90_000},
    }
    return cast("Problem", made | fields)


def states(*problems: Problem) -> Batch:
    return Batch(
        problems=tuple(
            ProblemState(message(PROBLEM.encode(one), topic="problems", offset=number), one)
            for number, one in enumerate(problems)
        )
    )


def sink(url: str, **settings: object) -> ElasticsearchSink:
    return ElasticsearchSink(ElasticsearchSettings.load(elasticsearch_url=url, **settings), metrics())


def found(stack: Endpoints, index_prefix: str, query: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    hits = search(stack.elasticsearch, f"{index_prefix}errors", {"query": query or {"match_all": {}}})
    return {hit["_id"]: hit["_source"] for hit in hits}


def test_a_problem_is_written_under_its_fingerprint_with_what_an_operator_asks_for() -> None:
    assert problem_document(problem(), Redactor()) == {
        "@timestamp": SEEN + 60_000,
        "problem": {
            "status": "FIRING",
            "severity": "critical",
            "muted": False,
            "rule": "payments",
            "runbook": "https://wiki.example.org/pay",
            "version": 1,
            "first_seen": SEEN,
            "last_seen": SEEN + 60_000,
            "firing_since": SEEN,
            "count": 3,
            "root": "cart POST /orders",
        },
        "error": {
            "fingerprint": "f1",
            "service": "payment",
            "operation": "POST /charges",
            "type": "GatewayError",
            "message": "no answer",
            "peer": "bank",
            "tags": {"http.method": "POST"},
        },
        "service": {"name": ["cart", "payment"]},
        "labels": {"team": "shop"},
        "trace": {"id": ["a1"]},
        "samples": {
            "newest": [{"trace": {"id": "a1", "duration": {"us": 900}}, "@timestamp": SEEN + 60_000}],
            "slowest": {"trace": {"id": "b2", "duration": {"us": 90_000}}, "@timestamp": SEEN},
        },
        "lines": [{"@timestamp": SEEN, "service": "payment", "level": "ERROR", "message": "no answer"}],
        "http": {"response": {"status_code": "503"}},
    }


def test_what_this_sink_redacts_is_redacted_in_problems_too() -> None:
    secret = "token=hunter2"  # noqa: S105 - a test's own
    one = problem(message=secret, operation=secret, root=secret, tags={"cookie": "hunter2"})
    one["lines"][0]["message"] = secret
    assert "hunter2" not in str(problem_document(one, Redactor()))


def test_an_older_state_that_comes_late_changes_nothing(stack: Endpoints, index_prefix: str) -> None:
    target = sink(stack.elasticsearch, index_prefix=index_prefix)
    report = target.write(states(problem(version=2, count=2), problem("f2")))
    assert report.records == {("problem", Outcome.WRITTEN): 2}
    report = target.write(states(problem(version=1, count=1), problem(version=2, count=2), problem(version=5, count=5)))
    assert report.records == {("problem", Outcome.DUPLICATE): 2, ("problem", Outcome.WRITTEN): 1}
    shown = found(stack, index_prefix)
    assert {fingerprint: source["problem"]["count"] for fingerprint, source in shown.items()} == {"f1": 5, "f2": 3}
    for query in (
        {"term": {"problem.status": "FIRING"}},
        {"term": {"error.service": "payment"}},
        {"match": {"error.message": "answer"}},
        {"term": {"labels.team": "shop"}},
        {"term": {"http.response.status_code": 503}},
        {"range": {"problem.first_seen": {"gte": SEEN, "lte": SEEN}}},
        {"term": {"trace.id": "a1"}},
    ):
        assert len(found(stack, index_prefix, query)) == 2, query
    mapping = http_request("GET", f"{stack.elasticsearch}/{index_prefix}errors/_mapping").json()
    assert mapping[f"{index_prefix}errors"]["mappings"]["properties"]["samples"] == {"type": "object", "enabled": False}


def test_a_problem_that_elasticsearch_cannot_hold_is_a_dead_letter_and_the_others_are_written(
    stack: Endpoints, index_prefix: str
) -> None:
    target = sink(stack.elasticsearch, index_prefix=index_prefix)
    bad = [problem(""), problem("x" * 513), problem("f3", version=-1)]
    nul = problem("nul", tags={"null\0byte": "x", "http.method": "POST"})
    report = target.write(states(problem(), *bad, nul, problem("odd", httpStatus="none")))
    assert report.records == {("problem", Outcome.WRITTEN): 3, ("problem", Outcome.DEAD_LETTER): 3}
    assert [PROBLEM.decode(letter.payload) for letter in report.dead_letters] == bad
    assert all(letter.kind is None for letter in report.dead_letters)  # the payload is the whole message
    written = found(stack, index_prefix)
    assert set(written) == {"f1", "nul", "odd"}
    assert written["nul"]["error"]["tags"] == {"http.method": "POST"}
    assert written["nul"]["unindexed"] == [{"field": "error.tags", "name": "null\0byte", "value": "x"}]


def test_a_problem_that_elasticsearch_refuses_is_a_dead_letter() -> None:
    def answer(request: Request) -> tuple[int, object]:
        refused = {"status": 400, "error": {"type": "document_parsing_exception", "reason": "because"}}
        items = [{"index": {"status": 201}}, {"index": refused}]
        return 200, {"items": items} if request.path.startswith("/_bulk") else {}

    with stub(answer) as url:
        report = sink(url).write(states(problem(), problem("f2")))
    assert report.records == {("problem", Outcome.WRITTEN): 1, ("problem", Outcome.DEAD_LETTER): 1}
    (letter,) = report.dead_letters
    assert PROBLEM.decode(letter.payload) == problem("f2")


def test_a_problem_for_which_there_is_no_room_is_tried_again() -> None:
    bodies: list[bytes] = []

    def answer(request: Request) -> tuple[int, object]:
        if not request.path.startswith("/_bulk"):
            return 200, {}
        bodies.append(request.body)
        return 200, {"items": [{"index": {"status": 429 if len(bodies) < 2 else 200}}]}

    with stub(answer) as url:
        report = sink(url).write(states(problem()))
    assert len(bodies) == 2
    assert report.records == {("problem", Outcome.WRITTEN): 1}
    with stub(lambda _: (503, {})) as url, pytest.raises(Unavailable):
        sink(url).write(states(problem()))
