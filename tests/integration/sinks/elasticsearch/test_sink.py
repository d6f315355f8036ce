"""The Elasticsearch sink: what it stores in a real one, and what it does at answers that a healthy one never gives."""

import time
from collections import Counter
from threading import Event, Lock
from typing import Any

import orjson
import pytest
from elasticsearch import BadRequestError

from pipeline.analysis.redaction import Redactor
from pipeline.local.stack import Endpoints
from sinks.base.contract import Batch, Outcome, Refused, UnlinkedLog
from sinks.elasticsearch.client import IN_FLIGHT
from sinks.elasticsearch.settings import ElasticsearchSettings
from sinks.elasticsearch.sink import ElasticsearchSink
from sinks.elasticsearch.templates import set_up_now
from sinks.elasticsearch.unindexable import LONGEST_NAME
from tests.kit.http import http_request
from tests.kit.http_stub import Answer, Request, stub
from tests.kit.sink_examples import START, UNLINKED, YEAR_3000, batch, log, message, new_trace_id, part, span
from tests.kit.sink_targets import metrics, search
from tracelink.errors import InvalidRecord, Unavailable, UserError
from tracelink.model.codec import LOG_RECORD


def sink(url: str, **settings: object) -> ElasticsearchSink:
    return ElasticsearchSink(ElasticsearchSettings.load(elasticsearch_url=url, **settings), metrics())


def lines_batch(count: int) -> Batch:
    """Return log lines without a trace: one document each."""
    return Batch(
        unlinked=tuple(
            UnlinkedLog(message(LOG_RECORD.encode(one), topic=UNLINKED, offset=number), one)
            for number in range(count)
            for one in [log(bytes(16), id=f"line-{number}")]
        )
    )


def bulk(judge: Any, seen: list[list[str]] | None = None) -> Answer:  # noqa: ANN401 - a function of an id
    """Answer bulk requests: `judge` gives for each id a status, or a status and an error type."""

    def answer(request: Request) -> tuple[int, object]:
        if not request.path.startswith("/_bulk"):
            return 200, {"version": {"number": "9.0.0"}}
        ids = [orjson.loads(line)["create"]["_id"] for line in request.body.splitlines()[::2]]
        if seen is not None:
            seen.append(ids)
        items = []
        for one in ids:
            status, kind = judge(one)
            error = {"error": {"type": kind, "reason": "because"}} if kind else {}
            items.append({"create": {"status": status, **error}})
        return 200, {"items": items}

    return answer


def created(_: str) -> tuple[int, str]:
    return 201, ""


def test_only_what_had_no_room_is_sent_again() -> None:
    seen: list[list[str]] = []
    tries = Counter[str]()

    def judge(one: str) -> tuple[int, str]:
        tries[one] += 1
        if one == "line-1" and tries[one] < 3:
            return 429, "es_rejected_execution_exception"
        return (503, "unavailable_shards_exception") if one == "line-2" and tries[one] < 2 else (201, "")

    with stub(bulk(judge, seen)) as url:
        report = sink(url).write(lines_batch(4))
    assert report.records["log", Outcome.WRITTEN] == 4
    assert seen == [["line-0", "line-1", "line-2", "line-3"], ["line-1", "line-2"], ["line-1"]]


def test_what_never_finds_room_is_unavailable_in_the_end() -> None:
    seen: list[list[str]] = []
    with (
        stub(bulk(lambda _: (429, "circuit_breaking_exception"), seen)) as url,
        pytest.raises(Unavailable, match="circuit_breaking_exception: because"),
    ):
        sink(url).write(lines_batch(1))
    assert len(seen) == 4


@pytest.mark.parametrize("whole", [True, False], ids=["request", "documents"])
def test_what_has_no_room_as_one_request_goes_out_in_smaller_ones(whole: bool) -> None:  # noqa: FBT001 - a parameter
    seen: list[list[str]] = []
    good, refused = bulk(created, seen), bulk(lambda _: (429, "es_rejected_execution_exception"))

    def answer(request: Request) -> tuple[int, object]:
        if len(request.body) <= 20_000:
            return good(request)
        return (429, {"error": {"type": "circuit_breaking_exception"}}) if whole else refused(request)

    with stub(answer) as url:
        report = sink(url).write(lines_batch(300))
    assert report.records == {("log", Outcome.WRITTEN): 300}
    assert not report.dead_letters
    assert sorted(one for ids in seen for one in ids) == sorted(f"line-{number}" for number in range(300))


def test_requests_that_have_no_room_beside_each_other_go_out_one_after_the_other() -> None:
    room, refusals, good = Lock(), Counter[int](), bulk(created)

    def answer(request: Request) -> tuple[int, object]:
        if not room.acquire(blocking=False):
            refusals[429] += 1
            return 429, {"error": {"type": "es_rejected_execution_exception"}}
        try:
            time.sleep(0.02)
            return good(request)
        finally:
            room.release()

    with stub(answer) as url:
        report = sink(url, batch_bytes="1KiB", setup_templates="false").write(lines_batch(100))
    assert report.records == {("log", Outcome.WRITTEN): 100}
    assert 0 < refusals[429] < IN_FLIGHT


@pytest.mark.parametrize(
    ("status", "kind"), [(403, "cluster_block_exception"), (400, "validation_exception")], ids=["block", "shards"]
)
def test_an_operators_block_and_a_full_cluster_are_waited_for(status: int, kind: str) -> None:
    with stub(bulk(lambda _: (status, kind))) as url, pytest.raises(Unavailable, match=kind):
        sink(url).write(lines_batch(1))


@pytest.mark.parametrize(
    ("status", "kind"), [(401, "security_exception"), (403, "security_exception"), (404, "index_not_found_exception")]
)
def test_a_document_refused_for_what_it_is_not_stops_the_sink(status: int, kind: str) -> None:
    with stub(bulk(lambda _: (status, kind))) as url, pytest.raises(Refused, match=kind):
        sink(url).write(lines_batch(1))


@pytest.mark.parametrize(
    ("status", "error"), [(401, Refused), (403, Refused), (404, Refused), (429, Unavailable), (502, Unavailable)]
)
def test_an_answer_to_the_whole_request_means_the_same(status: int, error: type[Exception]) -> None:
    with stub(lambda _: (status, {"error": {"type": "x", "reason": "y"}, "status": status})) as url:
        with pytest.raises(error, match=str(status)):
            sink(url).write(lines_batch(1))
        with pytest.raises(error, match=str(status)):
            sink(url).check()


def test_a_request_that_we_made_wrong_is_no_records_fault() -> None:
    def answer(request: Request) -> tuple[int, object]:
        return (400, {"error": {"type": "parse_exception"}}) if request.path.startswith("/_bulk") else (200, {})

    with stub(answer) as url, pytest.raises(BadRequestError):
        sink(url).write(lines_batch(1))


def test_too_large_a_request_is_halved_down_to_the_one_document() -> None:
    seen: list[list[str]] = []
    good = bulk(created, seen)

    def answer(request: Request) -> tuple[int, object]:
        return (413, "too large") if b"line-2" in request.body else good(request)

    with stub(answer) as url:
        report = sink(url).write(lines_batch(5))
    (letter,) = report.dead_letters
    assert LOG_RECORD.decode(letter.payload)["id"] == "line-2"
    assert sorted(one for ids in seen for one in ids) == ["line-0", "line-1", "line-3", "line-4"]


def test_a_refusal_that_quotes_a_secret_is_redacted_in_the_dead_letters_headers_and_its_payload_stays() -> None:
    def answer(request: Request) -> tuple[int, object]:
        if not request.path.startswith("/_bulk"):
            return 200, {}
        assert b"hunter2" not in request.body
        reason = "failed to parse field [x]: Preview of field's value: 'password=hunter2'"
        return 200, {"items": [{"create": {"status": 400, "error": {"type": "document_parsing", "reason": reason}}}]}

    secret = log(bytes(16), message="login with password=hunter2")
    with stub(answer) as url:
        one = UnlinkedLog(message(LOG_RECORD.encode(secret), topic=UNLINKED), secret)
        report = sink(url).write(Batch(unlinked=(one,)))
    (letter,) = report.dead_letters
    detail = dict(letter.headers("elasticsearch", Redactor().redact))["tracelink.detail"].decode()
    assert detail.endswith("Preview of field's value: 'password=[redacted]'")
    assert LOG_RECORD.decode(letter.payload)["message"] == "login with password=hunter2"


def test_requests_are_bounded_in_bytes() -> None:
    seen: list[list[str]] = []
    with stub(bulk(created, seen)) as url:
        sink(url, batch_bytes="1KiB").write(lines_batch(20))
    assert len(seen) > 3
    assert sorted(one for ids in seen for one in ids) == sorted(f"line-{number}" for number in range(20))


def test_a_cluster_that_is_late_gets_smaller_requests_and_one_at_a_time() -> None:
    good, sizes, room, together = bulk(created), list[int](), Lock(), list[int]()

    def answer(request: Request) -> tuple[int, object]:
        sizes.append(len(request.body))
        if len(request.body) > 20_000:
            time.sleep(0.6)
            return good(request)
        if not room.acquire(blocking=False):
            together.append(len(request.body))
            return 500, {}
        try:
            return good(request)
        finally:
            room.release()

    with stub(answer) as url:
        report = sink(url, setup_templates="false", request_timeout="0.3").write(lines_batch(300))
    assert report.records == {("log", Outcome.WRITTEN): 300}
    assert sizes[0] > 20_000 > max(sizes[1:])
    assert not together


def test_a_cluster_that_answers_no_smaller_request_in_time_is_unavailable() -> None:
    seen: list[int] = []

    def answer(request: Request) -> tuple[int, object]:
        seen.append(len(request.body))
        time.sleep(0.6)
        return bulk(created)(request)

    with stub(answer) as url, pytest.raises(Unavailable, match="does not answer"):
        sink(url, setup_templates="false", request_timeout="0.3").write(lines_batch(300))
    assert len(seen) == 2


def test_the_next_request_goes_out_while_one_is_under_way() -> None:
    good, second = bulk(created), Event()

    def answer(request: Request) -> tuple[int, object]:
        if b'"line-0"' not in request.body:
            second.set()
        assert second.wait(20)
        return good(request)

    with stub(answer) as url:
        report = sink(url, batch_bytes="1KiB", setup_templates="false").write(lines_batch(20))
    assert report.records["log", Outcome.WRITTEN] == 20


def test_nothing_is_under_way_any_more_once_it_is_unavailable() -> None:
    others, answered = Event(), Event()

    def answer(request: Request) -> tuple[int, object]:
        if b'"line-0"' in request.body:
            assert others.wait(20)
            return 503, {}
        others.set()
        time.sleep(0.3)
        answered.set()
        return bulk(created)(request)

    with stub(answer) as url, pytest.raises(Unavailable):
        sink(url, batch_bytes="1KiB", setup_templates="false").write(lines_batch(10))
    assert answered.is_set()


def test_a_server_that_never_answers_is_unavailable_after_the_timeout(unanswering: str) -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        sink(unanswering, request_timeout="0.1").check()


def test_a_server_that_is_no_elasticsearch_stops_the_sink(stack: Endpoints) -> None:
    with pytest.raises(Refused, match="TRACELINK_ELASTICSEARCH_URL"):
        sink(stack.zipkin).check()


def test_an_answer_that_is_none_of_elasticsearch_stops_the_sink() -> None:
    with stub(lambda _: (200, {})) as url, pytest.raises(Refused, match="TRACELINK_ELASTICSEARCH_URL"):
        sink(url).write(batch(part([], [log(new_trace_id())])))


def test_credentials_are_sent_and_their_contradictions_refused() -> None:
    seen: list[str] = []

    def answer(request: Request) -> tuple[int, object]:
        seen.append(request.headers["authorization"])
        return 200, {}

    with stub(answer) as url:
        sink(url, elasticsearch_api_key="a2V5").check()
        sink(url, elasticsearch_username="user", elasticsearch_password="word").check()  # noqa: S106 - a test's own
    assert seen[0] == "ApiKey a2V5"
    assert seen[-1] == "Basic dXNlcjp3b3Jk"
    with pytest.raises(UserError, match="set only one of them"):
        sink("http://127.0.0.1:1", elasticsearch_api_key="a2V5", elasticsearch_username="user")
    with pytest.raises(UserError, match="PASSWORD"):
        sink("http://127.0.0.1:1", elasticsearch_username="user")
    with pytest.raises(UserError, match="TRACELINK_ELASTICSEARCH_URL"):
        sink("127.0.0.1")


def test_templates_are_set_up_before_the_first_document_and_only_if_wanted() -> None:
    paths: list[str] = []

    def answer(request: Request) -> tuple[int, object]:
        paths.append(request.path.partition("?")[0])
        return bulk(created)(request)

    with stub(answer) as url:
        target = sink(url)
        target.write(lines_batch(1))
        target.write(lines_batch(1))
        set_up = [f"/_index_template/tracelink-{kind}" for kind in ("logs", "traces", "errors")]
        assert paths == [*set_up, "/_bulk", "/_bulk"]
        paths.clear()
        sink(url, setup_templates="false").write(lines_batch(1))
        assert paths == ["/_bulk"]


def test_fields_are_searched_as_mapped_and_all_others_are_only_kept(stack: Endpoints, index_prefix: str) -> None:
    target = sink(stack.elasticsearch, index_prefix=index_prefix)
    trace_id = new_trace_id()
    failure = {"type": "OSError", "message": "disk gone", "stackTrace": "Traceback\n  in save"}
    line = log(
        trace_id,
        message="the cart could not be saved",
        exception=failure,
        fields={"user.id": "42", "long": "x" * 40_000},
        timestamp=START + 1,
    )
    later = log(trace_id, timestamp=START + 2)
    target.write(batch(part([span(trace_id, tags={"a": "b" * 40_000})], [later, line])))

    def logs(query: dict[str, Any]) -> list[str]:
        found = search(stack.elasticsearch, f"{index_prefix}logs-*", {"query": query, "sort": "@timestamp"})
        return [hit["_id"] for hit in found]

    both = [line["id"], later["id"]]
    assert logs({"term": {"trace.id": trace_id.hex()}}) == both  # microseconds sort
    assert logs({"match_phrase": {"message": "could not be saved"}}) == [line["id"]]
    assert logs({"term": {"labels.user.id": "42"}}) == [line["id"]]
    assert logs({"match_phrase": {"error.message": "disk gone"}}) == [line["id"]]
    assert logs({"term": {"service.name": "cart"}}) == both
    mapping = http_request("GET", f"{stack.elasticsearch}/{index_prefix}traces-2026.01.01/_mapping").json()
    properties = next(iter(mapping.values()))["mappings"]["properties"]
    assert properties["spans"] == {"type": "object", "enabled": False}
    (hit,) = search(stack.elasticsearch, f"{index_prefix}traces-*", {"query": {"term": {"trace.id": trace_id.hex()}}})
    assert hit["_id"] == f"{trace_id.hex()}-s0-1"
    assert hit["_source"]["spans"][0]["tags"] == {"a": "b" * 40_000}


def test_a_line_of_a_date_that_elasticsearch_has_not_is_a_dead_letter_and_a_span_of_one_is_kept(
    stack: Endpoints, index_prefix: str
) -> None:
    target = sink(stack.elasticsearch, index_prefix=index_prefix)
    trace_id = new_trace_id()
    no_date, year_3000, too_long = (
        log(trace_id, timestamp=2**62),
        log(trace_id, timestamp=YEAR_3000),
        log(trace_id, id="x" * 513),
    )
    report = target.write(batch(part([span(trace_id, timestamp=2**62)], [log(trace_id), no_date, year_3000, too_long])))
    assert report.records["log", Outcome.WRITTEN] == 1
    assert report.records["log", Outcome.DEAD_LETTER] == 3
    assert all(isinstance(letter.error, InvalidRecord) for letter in report.dead_letters)
    assert report.parts == [Outcome.WRITTEN]  # its start is that of its earliest record
    alone = target.write(batch(part([span(trace_id, timestamp=2**62)], name="s0-9")))
    assert alone.parts == [Outcome.WRITTEN]  # its start is when it arrived


@pytest.mark.parametrize(
    "name",
    [
        "ctx\0id", "\0", "k" * (LONGEST_NAME + 1), "k" * 33_000, "é" * 16_400, "k" * 60_000, "k" * 500_000,
        "", " ", ".", "..", "a..b", ".a", "a.", "_id", "_source", "*", "\ufffe", "\x7f", "\u2028", "🙂" * 8000,
        "k" * LONGEST_NAME,
    ],
    ids=lambda name: repr(name[:4]) + str(len(name)),
)  # fmt: skip
def test_a_field_of_any_name_arrives_with_its_line_and_its_span(name: str, stack: Endpoints, index_prefix: str) -> None:
    target = sink(stack.elasticsearch, index_prefix=index_prefix)
    trace_id = new_trace_id()
    values = {"short": "7", "longest": "ÿ" * 1024, "not-indexed": "v" * 33_000}
    lines = [
        log(trace_id, id=f"{trace_id.hex()}-{kind}", fields={"order": "o-1", name: value})
        for kind, value in values.items()
    ]
    report = target.write(batch(part([span(trace_id, tags={"order": "o-1", name: "7"})], lines)))
    assert not report.dead_letters
    found = search(stack.elasticsearch, f"{index_prefix}logs-*", {"query": {"term": {"labels.order": "o-1"}}})
    assert len(found) == len(values)
    for hit in found:
        source = hit["_source"]
        aside = {one["name"]: one["value"] for one in source.get("unindexed", ())}
        assert source["labels"] | aside == {"order": "o-1", name: values[hit["_id"].partition("-")[2]]}
    unindexed = search(stack.elasticsearch, f"{index_prefix}logs-*", {"query": {"term": {"unindexed.field": "labels"}}})
    assert len(unindexed) == (0 if "\0" not in name and len(name.encode()) <= LONGEST_NAME else len(values))
    (hit,) = search(stack.elasticsearch, f"{index_prefix}traces-*", {"query": {"term": {"trace.id": trace_id.hex()}}})
    tags = hit["_source"]["spans"][0]["tags"] | {
        one["name"]: one["value"] for one in hit["_source"].get("unindexed", ())
    }
    assert tags == {"order": "o-1", name: "7"}


def test_a_line_with_very_many_fields_arrives(stack: Endpoints, index_prefix: str) -> None:
    target = sink(stack.elasticsearch, index_prefix=index_prefix)
    trace_id = new_trace_id()
    fields = {f"field.{number}.{'x' * (number % 50)}": str(number) for number in range(20_000)}
    report = target.write(batch(part([], [log(trace_id, fields=fields)])))
    assert not report.dead_letters
    (hit,) = search(stack.elasticsearch, f"{index_prefix}logs-*", {"query": {"term": {"trace.id": trace_id.hex()}}})
    assert hit["_source"]["labels"] == fields


def test_log_lines_of_a_level_are_kept_of_traces_that_are_not(stack: Endpoints, index_prefix: str) -> None:
    target = sink(stack.elasticsearch, index_prefix=index_prefix, keep_share="0", keep_log_level="WARN")
    trace_id = new_trace_id()
    info, warning = log(trace_id), log(trace_id, level="WARNING")
    report = target.write(batch(part([span(trace_id)], [info, warning])))
    assert report.parts == [Outcome.NOT_KEPT]
    assert report.records["log", Outcome.NOT_KEPT] == 1
    query = {"query": {"term": {"trace.id": trace_id.hex()}}}
    assert [hit["_id"] for hit in search(stack.elasticsearch, f"{index_prefix}logs-*", query)] == [warning["id"]]


def test_set_up_alone_names_the_templates_and_says_when_nobody_answers(stack: Endpoints, index_prefix: str) -> None:
    settings = ElasticsearchSettings.load(elasticsearch_url=stack.elasticsearch, index_prefix=index_prefix)
    names = [f"{index_prefix}{kind}" for kind in ("logs", "traces", "errors")]
    assert set_up_now(settings) == names
    assert set_up_now(settings) == names
    with pytest.raises(UserError, match="Is it running"):
        set_up_now(ElasticsearchSettings.load(elasticsearch_url="http://127.0.0.1:1"))
