"""What becomes a document, under which names, in which index: pure."""

from datetime import UTC, datetime

import pytest

from sinks.elasticsearch.documents import (
    log_document,
    log_id,
    part_document,
    started,
    trace_context,
)
from sinks.elasticsearch.indices import Indices
from sinks.elasticsearch.searchable import SearchedTags
from sinks.elasticsearch.settings import ElasticsearchSettings
from sinks.elasticsearch.templates import LOG_MAPPINGS, templates
from tests.kit.sink_examples import ERRORED, ROOT, START, log, new_trace_id, part, span
from tracelink.errors import InvalidRecord
from tracelink.model.records import shown_trace_id

TRACE = bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736")
DAY_US = 86_400_000_000
OPENED = START // 1000
SEARCHED = SearchedTags(["*"])


def test_a_log_line_is_written_under_ecs_names() -> None:
    record = log(
        TRACE,
        id="x-1",
        spanId="00000000000000a1",
        level="ERROR",
        logger="shop.cart",
        exception={"type": "OSError", "message": "disk gone", "stackTrace": "Traceback"},
        fields={"user.id": "42"},
        timestamp=START + 123_456,
    )
    assert log_document(record, {"id": TRACE.hex(), "errored": True}) == {
        "@timestamp": datetime(2026, 1, 1, 0, 0, 0, 123_456, UTC),
        "message": "emptied",
        "log": {"level": "ERROR", "logger": "shop.cart"},
        "service": {"name": "cart"},
        "trace": {"id": "4bf92f3577b34da6a3ce929d0e0e4736", "errored": True},
        "span": {"id": "00000000000000a1"},
        "error": {"type": "OSError", "message": "disk gone", "stack_trace": "Traceback"},
        "labels": {"user.id": "42"},
    }


def test_what_a_log_line_does_not_have_is_left_out() -> None:
    record = log(bytes(16), service=None, level=None, fields={}, exception=None)
    assert set(log_document(record, None)) == {"@timestamp", "message"}


@pytest.mark.parametrize("identity", ["", "x" * 513, "é" * 257])
def test_an_id_that_elasticsearch_has_not_is_invalid(identity: str) -> None:
    with pytest.raises(InvalidRecord, match="1 to 512 bytes"):
        log_id(log(TRACE, id=identity))


def test_a_time_beyond_the_calendar_is_invalid() -> None:
    with pytest.raises(InvalidRecord, match="no date"):
        log_document(log(TRACE, timestamp=2**62), None)


def test_every_document_of_a_part_knows_its_root_if_the_part_has_it() -> None:
    root = span(TRACE, "00000000000000a1", flags=ROOT, name="post /checkout", localEndpoint={"serviceName": "shop"})
    assert trace_context(part([span(TRACE, "00000000000000b2"), root]).trace) == {
        "id": TRACE.hex(),
        "errored": False,
        "root": {"name": "post /checkout", "service": "shop"},
    }
    assert trace_context(part([span(TRACE, flags=ERRORED)]).trace) == {"id": TRACE.hex(), "errored": True}


def test_a_trace_id_is_shown_as_zipkin_shows_it_in_every_part() -> None:
    assert shown_trace_id(TRACE) == TRACE.hex()
    assert shown_trace_id(bytes(8) + TRACE[8:]) == "a3ce929d0e0e4736"


def test_a_part_is_summed_up_with_its_spans_beside() -> None:
    spans = [
        span(TRACE, "00000000000000a1", flags=ROOT, timestamp=START, duration=30_000),
        span(
            TRACE,
            "00000000000000b2",
            flags=ERRORED,
            parentId="00000000000000a1",
            timestamp=START + 20_000,
            duration=40_000,
            localEndpoint={"serviceName": "payment"},
            name="charge",
            tags={"error": "card declined"},
        ),
    ]
    trace = part(spans, [log(TRACE, service="stock", timestamp=START - 5)]).trace
    document = part_document(trace, trace_context(trace), started(trace), SEARCHED)
    assert [one["id"] for one in document.pop("spans")] == ["00000000000000a1", "00000000000000b2"]
    assert document == {
        "@timestamp": datetime(2025, 12, 31, 23, 59, 59, 999_995, UTC),
        "trace": {
            "id": TRACE.hex(),
            "errored": True,
            "root": {"name": "get /cart", "service": "cart"},
            "part": "s0-1",
            "reason": "IDLE",
            "opened": OPENED,
            "closed": OPENED + 5000,
            "span_count": 2,
            "log_count": 1,
            "error_count": 1,
            "duration": {"us": 60_000},
        },
        "service": {"name": ["cart", "payment", "stock"]},
        "operations": ["charge", "get /cart"],
        "tags": {"error": ["card declined"], "http.method": ["GET"]},
        "error": {"service": "payment", "operation": "charge", "message": "card declined"},
    }


def test_a_part_of_log_lines_alone_has_neither_spans_nor_a_duration() -> None:
    trace = part([], [log(TRACE)]).trace
    document = part_document(trace, trace_context(trace), started(trace), SEARCHED)
    assert "spans" not in document
    assert "duration" not in document["trace"]
    assert "error" not in document


def test_a_part_without_any_time_starts_when_it_was_opened() -> None:
    assert started(part([span(TRACE, timestamp=None)]).trace) == START


@pytest.mark.parametrize("timestamp", [2**63 - 1, -(2**63), 253_370_764_800_000_000])
def test_a_span_of_an_impossible_time_keeps_no_other_out(timestamp: int) -> None:
    spans = [span(TRACE), span(TRACE, "00000000000000b2", timestamp=timestamp, duration=2**63 - 1)]
    trace = part(spans).trace
    document = part_document(trace, {}, started(trace), SEARCHED)
    assert document["@timestamp"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert 0 <= document["trace"]["duration"]["us"] < 2**63


@pytest.mark.parametrize(
    ("timestamp", "index"),
    [
        (START, "p-logs-2026.01.01"),
        (START - 1, "p-logs-2025.12.31"),
        (START - DAY_US, "p-logs-2025.12.31"),
        (START - DAY_US - 1, "p-logs-2026.01.01"),
        (START + DAY_US, "p-logs-2026.01.02"),
        (START + DAY_US + 1, "p-logs-2026.01.01"),
        (0, "p-logs-2026.01.01"),
        (2**62, "p-logs-2026.01.01"),
    ],
)
def test_an_index_is_of_the_records_day_if_near_the_opening_else_of_the_openings(timestamp: int, index: str) -> None:
    assert Indices("p-", "day").logs(timestamp, OPENED) == index


def test_an_index_may_hold_an_hour() -> None:
    assert Indices("p-", "hour").traces(START + 3_600_000_000, OPENED) == "p-traces-2026.01.01.01"


def test_templates_match_the_indices_and_take_their_shards_from_the_settings() -> None:
    made = templates(ElasticsearchSettings.load(index_prefix="p-", shards="3", replicas="1"))
    assert {name: body["index_patterns"] for name, body in made.items()} == {
        "p-logs": ["p-logs-*"],
        "p-traces": ["p-traces-*"],
        "p-errors": ["p-errors"],
    }
    for body in made.values():
        assert body["template"]["settings"] == {"number_of_shards": 3, "number_of_replicas": 1}
        assert body["template"]["mappings"]["dynamic"] is False


def test_every_field_of_a_log_document_is_mapped() -> None:
    record = log(
        new_trace_id(),
        spanId="00000000000000a1",
        logger="shop",
        exception={"type": "a", "message": "b", "stackTrace": "c"},
        fields={"d": "e"},
    )
    document = log_document(record, {"id": "f", "errored": False, "root": {"name": "g", "service": "h"}})
    _assert_mapped(document, LOG_MAPPINGS["properties"])


def test_every_field_of_a_part_document_is_mapped() -> None:
    settings = ElasticsearchSettings.load()
    mappings = templates(settings)["tracelink-traces"]["template"]["mappings"]
    trace = part([span(TRACE, flags=ROOT | ERRORED)], [log(TRACE, flags=ERRORED, level="ERROR")]).trace
    _assert_mapped(part_document(trace, trace_context(trace), started(trace), SEARCHED), mappings["properties"])


def _assert_mapped(document: dict[str, object], properties: dict[str, dict[str, object]]) -> None:
    assert set(document) <= set(properties)
    for name, value in document.items():
        inner = properties[name].get("properties")
        if isinstance(value, dict) and isinstance(inner, dict):
            _assert_mapped(value, inner)
