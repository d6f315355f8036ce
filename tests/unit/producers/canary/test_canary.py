"""What becomes of a canary by what was seen of it when, without Kafka, stores or a clock."""

from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from pipeline.analysis.root_cause import root_cause_span
from pipeline.model.problems import OCCURRENCE, PROBLEM, Occurrence, Problem
from pipeline.model.splice import splice
from producers.canary.metrics import CanaryMetrics
from producers.canary.probes import ProbeRecorder
from producers.canary.settings import CANARY_STAGES, CanarySettings
from producers.canary.stores import ElasticsearchStore, ZipkinStore, missing_documents, missing_spans
from producers.canary.topics import Sightings
from producers.canary.trace import SERVICE, Canary, canary
from streams.alerts.fingerprint import Fields
from streams.alerts.occurrence import occurrence
from streams.alerts.problems import ProblemLimits, Problems
from streams.alerts.rule import DEFAULTS
from tests.kit.http_stub import Request, stub
from tests.kit.traces import trace
from tracelink.errors import UserError
from tracelink.kafka.messages import LOGS, SPANS
from tracelink.kafka.topics import TopicNames
from tracelink.metrics import PublisherMetrics
from tracelink.model.records import Flag
from tracelink.settings import PublisherSettings
from tracelink.testing import MemoryPublisher

AT = 1_767_225_600_000_000
WALL = 1_767_225_600.0
NAMES = TopicNames()


def of(number: int) -> Canary:
    return canary(number.to_bytes(16, "big"), AT)


OURS, OTHER = of(2**100 + 7), of(2**100 + 8)


class Kept:
    """Books that are kept by the minute, and their metrics."""

    def __init__(self, *stages: str) -> None:
        self._registry = CollectorRegistry()
        metrics = CanaryMetrics(self._registry, stages or CANARY_STAGES)
        self.recorder = ProbeRecorder(metrics, stages or CANARY_STAGES, every=60, within=60)

    def metric(self, name: str, stage: str | None = None) -> float | None:
        return self._registry.get_sample_value(f"tracelink_canary_{name}", {"stage": stage} if stage else {})


def part(found: Canary, spans: int = 2, logs: int = 3) -> bytes:
    """Return an errored trace as the join writes it, with so many records of a canary."""
    publisher = MemoryPublisher(PublisherSettings(), PublisherMetrics(CollectorRegistry()))
    found.publish(publisher)
    messages = {kind: [one.value for one in publisher.messages if one.kind == kind] for kind in (SPANS, LOGS)}
    return splice(
        flags=Flag.ERROR,
        trace_id=found.trace_id,
        name="s0-1",
        opened=AT // 1000,
        closed=AT // 1000,
        reason=0,
        spans=messages[SPANS][:spans],
        logs=messages[LOGS][:logs],
    )


def located(found: Canary) -> Occurrence:
    made = occurrence(trace(found.spans, found.logs), Fields(), lambda text: text)
    assert made is not None
    return made


def counted(*found: Canary) -> Problem:
    """Return the problem of canaries, as it is written after the last one."""
    problems = Problems(lambda *_: DEFAULTS, ProblemLimits())
    for one in found:
        problems.observe(located(one), AT // 1000)
    (problem,) = problems
    return problem


# What is sent


def test_a_canary_is_an_errored_trace_of_one_service_that_fails_below_its_root() -> None:
    root, child = OURS.spans
    assert (root["kind"], root["parentId"], child["parentId"]) == ("SERVER", None, root["id"])
    assert all(span["flags"] & Flag.ERROR for span in OURS.spans)
    assert [bool(log["flags"] & Flag.ERROR) for log in OURS.logs] == [False, False, True]
    origin = root_cause_span(trace(OURS.spans, OURS.logs))
    assert origin is not None
    assert (origin.service, origin.operation, origin.type) == (SERVICE, child["name"], "CanaryError")
    assert len({log["id"] for log in (*OURS.logs, *OTHER.logs)}) == 6


def test_all_canaries_are_one_problem() -> None:
    later = canary(bytes.fromhex("fedcba98765432100123456789abcdef"), AT + 987_654_321)
    assert len({located(one)["fingerprint"] for one in (OURS, OTHER, later)}) == 1


def test_its_records_reach_the_topics_as_those_of_a_service_do() -> None:
    publisher = MemoryPublisher(PublisherSettings(), PublisherMetrics(CollectorRegistry()))
    OURS.publish(publisher)
    assert {message.key for message in publisher.messages} == {OURS.key}
    assert [message.topic for message in publisher.messages] == [NAMES.spans] * 2 + [NAMES.logs] * 3


# What was seen when


def test_each_stage_is_as_fresh_as_it_was_seen_after_sending() -> None:
    kept = Kept()
    probe = kept.recorder.begin("c", now=100, wall=WALL)
    for stage, now in zip(CANARY_STAGES, (101.5, 102, 103, 104), strict=True):
        assert kept.recorder.note(probe, stage, None, now)
    assert probe.is_over(104)
    kept.recorder.settle(probe, 104)
    assert [kept.metric("freshness_seconds", stage) for stage in CANARY_STAGES] == [1.5, 2, 3, 4]
    assert kept.metric("last_success_timestamp_seconds", "zipkin") == WALL + 4
    assert [kept.metric("missed_probes_total", stage) for stage in CANARY_STAGES] == [0] * 4
    assert kept.metric("probes_total") == 1
    assert kept.recorder.not_ready(105) is None


def test_a_stage_that_does_not_see_it_in_time_has_missed_it_and_the_others_have_not() -> None:
    kept = Kept()
    first = kept.recorder.begin("first", now=0, wall=WALL)
    for stage in CANARY_STAGES:
        kept.recorder.note(first, stage, None, 2)
    kept.recorder.settle(first, 2)
    second = kept.recorder.begin("second", now=60, wall=WALL + 60)
    for stage in CANARY_STAGES[:-1]:
        kept.recorder.note(second, stage, None, 63)
    kept.recorder.note(second, "zipkin", "0 of 2 spans", 119)
    assert not second.is_over(120)
    assert second.is_over(120.1)
    kept.recorder.settle(second, 120.1)
    assert [kept.metric("missed_probes_total", stage) for stage in CANARY_STAGES] == [0, 0, 0, 1]
    assert kept.metric("last_success_timestamp_seconds", "zipkin") == WALL + 2
    assert kept.metric("freshness_seconds", "zipkin") == pytest.approx(60.1)
    assert kept.metric("freshness_seconds", "joined") == 3
    assert kept.recorder.not_ready(121) == "probe second was missed: zipkin: 0 of 2 spans"


def test_what_is_seen_when_its_time_is_up_is_missed() -> None:
    kept = Kept("joined")
    probe = kept.recorder.begin("c", now=0, wall=WALL)
    assert not kept.recorder.note(probe, "joined", None, 60.5)
    kept.recorder.settle(probe, 60.5)
    assert kept.metric("missed_probes_total", "joined") == 1
    assert kept.metric("last_success_timestamp_seconds", "joined") == 0


def test_a_stage_that_was_seen_stays_seen_and_one_that_is_off_says_nothing() -> None:
    kept = Kept("joined")
    probe = kept.recorder.begin("c", now=0, wall=WALL)
    assert kept.recorder.note(probe, "joined", None, 1)
    assert not kept.recorder.note(probe, "joined", "gone", 2)
    assert not kept.recorder.note(probe, "zipkin", None, 2)
    probe.fail("Kafka is away")
    assert (probe.seconds, probe.missing) == ({"joined": 1}, {})
    assert kept.metric("missed_probes_total", "zipkin") is None


def test_a_canary_that_cannot_be_sent_is_missed_everywhere_and_the_next_one_may_come_through() -> None:
    kept = Kept("joined", "zipkin")
    probe = kept.recorder.begin("c", now=0, wall=WALL)
    probe.fail("Kafka does not answer")
    kept.recorder.settle(probe, 10)
    assert kept.metric("freshness_seconds", "joined") == 60
    assert kept.recorder.not_ready(11) == "probe c was missed: joined, zipkin: Kafka does not answer"
    probe = kept.recorder.begin("d", now=60, wall=WALL + 60)
    assert kept.recorder.not_ready(61) is not None
    for stage in ("joined", "zipkin"):
        kept.recorder.note(probe, stage, None, 62)
    kept.recorder.settle(probe, 62)
    assert kept.recorder.not_ready(62) is None


def test_a_process_is_not_ready_before_its_first_canary_nor_where_none_follows() -> None:
    kept = Kept("joined")
    assert kept.recorder.not_ready(0) == "the first probe is in progress"
    probe = kept.recorder.begin("c", now=0, wall=WALL)
    assert kept.recorder.not_ready(1) == "the first probe is in progress"
    kept.recorder.note(probe, "joined", None, 1)
    kept.recorder.settle(probe, 1)
    assert kept.recorder.not_ready(179) is None
    assert kept.recorder.not_ready(200) == "no probe has reached all stages for 200 s"


def test_the_next_one_is_due_a_minute_after_the_last_was_sent_or_at_once_where_that_took_longer() -> None:
    kept = Kept("joined")
    assert kept.recorder.due(5) == 0
    kept.recorder.begin("c", now=5, wall=WALL)
    assert kept.recorder.due(10) == 55
    assert kept.recorder.due(70) == 0


# What the topics tell


@pytest.fixture
def sightings() -> Sightings:
    return Sightings(NAMES, OURS)


def test_a_canary_is_joined_where_its_part_has_all_spans_and_all_lines(sightings: Sightings) -> None:
    sightings.take(NAMES.error_traces, OTHER.key, part(OTHER))
    assert sightings.missing["joined"] == "not in tracelink.error-traces"
    sightings.take(NAMES.error_traces, OURS.key, part(OURS))
    assert sightings.missing["joined"] is None


def test_a_part_without_the_log_lines_is_not_joined(sightings: Sightings) -> None:
    sightings.take(NAMES.error_traces, OURS.key, part(OURS, spans=1, logs=0))
    assert sightings.missing["joined"] == ("its part in tracelink.error-traces has 1 of 2 spans and 0 of 3 log lines")


def test_a_canary_is_grouped_where_its_problem_has_counted_it(sightings: Sightings) -> None:
    found = located(OURS)
    sightings.take(NAMES.errors, found["fingerprint"].encode(), OCCURRENCE.encode(found))
    assert str(sightings.missing["grouped"]).startswith(f"problem {found['fingerprint']} has not counted it")
    # Somebody may write of ours in a log.
    before: Problem = {**counted(OTHER), "message": f"{OURS.shown} was here"}
    sightings.take(NAMES.problems, before["fingerprint"].encode(), PROBLEM.encode(before))
    assert sightings.missing["grouped"] is not None
    after = counted(OTHER, OURS)
    assert after["newest"][0]["traceId"] == OURS.shown
    sightings.take(NAMES.problems, after["fingerprint"].encode(), PROBLEM.encode(after))
    assert sightings.missing["grouped"] is None


def test_topics_may_tell_in_any_order_and_problems_may_be_forgotten(sightings: Sightings) -> None:
    problem, found = counted(OURS), located(OURS)
    sightings.take(NAMES.problems, b"of another", b"")
    sightings.take(NAMES.problems, problem["fingerprint"].encode(), PROBLEM.encode(problem))
    sightings.take(NAMES.errors, found["fingerprint"].encode(), OCCURRENCE.encode(found))
    assert sightings.missing["grouped"] is None


def test_where_a_topic_cannot_be_read_what_was_seen_stays_seen(sightings: Sightings) -> None:
    sightings.take(NAMES.error_traces, OURS.key, part(OURS))
    sightings.fail("cannot read tracelink.problems: not authorized")
    assert sightings.missing == {"joined": None, "grouped": "cannot read tracelink.problems: not authorized"}


# What the stores tell


def documents(lines: int, **counts: int) -> list[dict[str, Any]]:
    return [{"trace": {"part": "s0-1", "span_count": 2, "log_count": 3} | counts}] + [{}] * lines


@pytest.mark.parametrize(
    ("found", "missing"),
    [
        (documents(3), None),
        (documents(2), "2 of 3 log lines"),
        (documents(3)[1:], "0 of 2 spans in parts and 0 of 3 log lines in parts"),
        (documents(3, log_count=0), "0 of 3 log lines in parts"),
        ([], "0 of 3 log lines and 0 of 2 spans in parts and 0 of 3 log lines in parts"),
    ],
)
def test_elasticsearch_has_a_canary_with_each_line_and_its_whole_part(
    found: list[dict[str, Any]], missing: str | None
) -> None:
    assert missing_documents(OURS, found) == missing


def test_zipkin_has_a_canary_with_all_its_spans_however_often() -> None:
    spans = [{"id": span["id"]} for span in OURS.spans]
    assert missing_spans(OURS, [*spans, spans[0]]) is None
    assert missing_spans(OURS, [spans[0], spans[0]]) == "1 of 2 spans"


@pytest.fixture
def asked() -> Iterator[tuple[str, list[Request]]]:
    """Serve a store that refuses; gives its URL, and what it was asked."""
    requests: list[Request] = []

    def refuse(request: Request) -> tuple[int, object]:
        requests.append(request)
        return 503, "busy"

    with stub(refuse) as url:
        yield url, requests


def test_zipkin_is_asked_with_the_headers_of_its_sink_and_its_refusal_is_said(
    asked: tuple[str, list[Request]],
) -> None:
    url, requests = asked
    store = ZipkinStore(CanarySettings.load(zipkin_url=url, zipkin_headers="Authorization: Bearer t; X-Team: ops"))
    assert store.look(OURS) == f"{url} responded 503"
    assert requests[0].path == f"/api/v2/trace/{OURS.shown}"
    assert (requests[0].headers["authorization"], requests[0].headers["x-team"]) == ("Bearer t", "ops")


def test_elasticsearch_is_asked_with_its_key_and_the_next_node_where_one_is_away(
    asked: tuple[str, list[Request]],
) -> None:
    url, requests = asked
    settings = CanarySettings.load(elasticsearch_url=f"http://127.0.0.1:1, {url}", elasticsearch_api_key="key")
    assert ElasticsearchStore(settings).look(OURS) == f"{url} responded 503"
    assert requests[0].headers["authorization"] == "ApiKey key"


def test_a_password_in_an_address_is_sent_and_not_shown(asked: tuple[str, list[Request]]) -> None:
    url, requests = asked
    store = ElasticsearchStore(CanarySettings.load(elasticsearch_url=url.replace("://", "://me:se%20cret@")))
    assert store.look(OURS) == f"{url} responded 503"
    assert requests[0].headers["authorization"] == "Basic bWU6c2UgY3JldA=="


def test_a_store_that_is_away_says_so() -> None:
    settings = CanarySettings.load(zipkin_url="http://127.0.0.1:1", elasticsearch_url="http://127.0.0.1:1")
    for store in (ZipkinStore(settings), ElasticsearchStore(settings)):
        assert str(store.look(OURS)).startswith("http://127.0.0.1:1 does not answer")


# What can be set


def test_a_stage_that_is_none_is_refused_with_those_that_are() -> None:
    with pytest.raises(UserError, match=r"'kibana' is not one of joined, grouped, elasticsearch, zipkin"):
        CanarySettings.load(canary_stages="joined,kibana")


def test_a_header_that_is_none_is_refused_and_not_shown() -> None:
    with pytest.raises(UserError, match="TRACELINK_ZIPKIN_HEADERS: header 1 is not NAME: VALUE") as refused:
        ZipkinStore(CanarySettings.load(zipkin_headers="se-cret"))
    assert "se-cret" not in refused.value.message
