"""Jaeger JSON as spans: answers of its API, processes, references, tags and logs."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats.invalid_input import InvalidInput
from pipeline.formats.spans import SpanReader
from tracelink.model.records import ErrorRule, Flag, Span

TRACE_ID = "ad0684f5aaaaab1e1f4f9bbc380b2901"
START = 1_795_162_530_123_456
SPAN: dict[str, Any] = {
    "traceID": TRACE_ID,
    "spanID": "3c9defe79f4fbae8",
    "operationName": "charge",
    "references": [{"refType": "CHILD_OF", "traceID": TRACE_ID, "spanID": "ab"}],
    "startTime": START,
    "duration": 1431,
    "tags": [{"key": "span.kind", "type": "string", "value": "server"}],
    "logs": [],
    "processID": "p1",
    "flags": 1,
    "warnings": None,
}
PROCESSES = {"p1": {"serviceName": "pay", "tags": [{"key": "hostname", "type": "string", "value": "h1"}]}}


def answer(*spans: object) -> dict[str, Any]:
    return {"data": [{"traceID": TRACE_ID, "spans": list(spans), "processes": PROCESSES, "warnings": None}], "total": 0}


def read(value: object) -> list[Span | InvalidInput]:
    return SpanReader(ErrorRule()).read(value)


def one(**more: object) -> Span:
    (span,) = read(answer({**SPAN, **more}))
    assert not isinstance(span, InvalidInput), span
    return span


def tags(**values: object) -> list[dict[str, object]]:
    return [{"key": name.replace("_", "."), "type": "string", "value": value} for name, value in values.items()]


def test_a_span_has_its_ids_times_kind_service_and_the_tags_of_its_process() -> None:
    assert one() == {
        "flags": 0,
        "traceId": bytes.fromhex(TRACE_ID),
        "id": "3c9defe79f4fbae8",
        "parentId": "00000000000000ab",
        "kind": "SERVER",
        "name": "charge",
        "timestamp": START,
        "duration": 1431,
        "localEndpoint": {"serviceName": "pay"},
        "remoteEndpoint": None,
        "annotations": [],
        "tags": {"hostname": "h1"},
        "debug": None,
        "shared": None,
    }


@pytest.mark.parametrize(
    "value",
    [
        answer(SPAN),
        answer(SPAN)["data"][0],
        {"data": answer(SPAN)["data"][0]},
        {"data": [{"spans": [{**SPAN, "processID": None, "process": PROCESSES["p1"]}]}]},
        {**SPAN, "process": PROCESSES["p1"]},
        # Single spans in Elasticsearch have their tags as a map, and may have a time in milliseconds beside.
        {
            **SPAN,
            "process": {"serviceName": "pay", "tag": {"hostname": "h1"}},
            "tags": [],
            "tag": {"span@kind": "server"},
            "startTimeMillis": START // 1000,
        },
    ],
)
def test_every_form_gives_the_same_span(value: object) -> None:
    assert read(value) == [one()]


def test_ids_without_leading_zeros_are_padded() -> None:
    (span,) = read(answer({**SPAN, "traceID": "1f4f9bbc380b290", "spanID": "b", "references": []}))
    assert not isinstance(span, InvalidInput)
    assert (span["traceId"].hex(), span["id"]) == ("1f4f9bbc380b290".zfill(32), "b".zfill(16))
    assert span["flags"] == Flag.SHORT_ID | Flag.ROOT


@pytest.mark.parametrize(
    ("references", "parent", "others"),
    [
        (None, None, None),
        ([], None, None),
        ([("FOLLOWS_FROM", TRACE_ID, "a"), ("CHILD_OF", TRACE_ID, "b")], "b", "a"),
        ([("FOLLOWS_FROM", TRACE_ID, "a")], "a", None),
        ([("CHILD_OF", "f" * 32, "a"), ("CHILD_OF", TRACE_ID, "b")], "b", "a"),
        ([("CHILD_OF", "f" * 32, "a")], None, "a"),
    ],
)
def test_the_parent_is_the_first_reference_within_the_trace_and_others_are_kept(
    references: list[tuple[str, str, str]] | None, parent: str | None, others: str | None
) -> None:
    names = ("refType", "traceID", "spanID")
    made = None if references is None else [dict(zip(names, each, strict=True)) for each in references]
    span = one(references=made)
    assert span["parentId"] == (parent and parent.zfill(16))
    kept = span["tags"].get("jaeger.references", "")
    assert (f'"spanID":"{others}"' in kept) if others else not kept


@pytest.mark.parametrize(
    ("more", "kind", "errored"),
    [
        ({"span_kind": "client"}, "CLIENT", False),
        ({"span_kind": "PRODUCER", "error": True}, "PRODUCER", True),
        ({"span_kind": "internal"}, None, False),
        ({"error": False}, None, False),
        ({"error": "false"}, None, False),
        ({"http_status.code": 200}, None, False),
    ],
)
def test_kind_and_error_are_tags(more: dict[str, object], kind: str | None, errored: bool) -> None:  # noqa: FBT001 - a table's column
    span = one(tags=tags(**more))
    assert span["kind"] == kind
    assert bool(span["flags"] & Flag.ERROR) is errored
    assert ("span.kind" in span["tags"]) == (more.get("span_kind") == "internal")


@pytest.mark.parametrize(
    ("more", "remote"),
    [
        ({"peer_service": "cards"}, {"serviceName": "cards"}),
        ({"peer_ipv4": "10.0.0.9", "peer_port": 4711}, {"serviceName": None, "ipv4": "10.0.0.9", "port": 4711}),
        ({"server_address": "10.0.0.9", "server_port": 80}, {"serviceName": None, "ipv4": "10.0.0.9", "port": 80}),
        ({}, None),
    ],
)
def test_the_other_side_is_named_by_tags(more: dict[str, object], remote: object) -> None:
    assert one(tags=tags(span_kind="client", **more))["remoteEndpoint"] == remote


def test_log_entries_are_annotations_and_errors_have_opentelemetrys_names() -> None:
    logs = [
        {"timestamp": START, "fields": tags(event="retry")},
        {"timestamp": START + 1, "fields": tags(message="waiting")},
        {"timestamp": START + 2, "fields": tags(event="cache", hit=True)},
        {"timestamp": START + 3, "fields": tags(event="error", error_kind="Declined", message="no card", stack="at x")},
        {"timestamp": START + 4, "fields": tags(event="error", error_object="boom")},
        {"timestamp": START + 5, "fields": []},
    ]
    assert [(each["timestamp"] - START, each["value"]) for each in one(logs=logs)["annotations"]] == [
        (0, "retry"),
        (1, "waiting"),
        (2, '"cache": {"hit":true}'),
        (3, '"exception": {"exception.type":"Declined","exception.message":"no card","exception.stacktrace":"at x"}'),
        (4, '"exception": {"exception.message":"boom"}'),
        (5, "log"),
    ]


def test_nothing_of_a_span_is_dropped() -> None:
    twice = [*tags(a="x", hostname="own"), *tags(a="y")]
    span = one(tags=twice, flags=9, warnings=["clock skew"], logs=["odd"], unknown=1)
    assert span["tags"] == {
        "hostname": "own",
        "process.hostname": "h1",
        "a": "x",
        "a'": "y",
        "field.flags": "9",
        "field.warnings": '["clock skew"]',
        "field.annotations": '["odd"]',
        "field.unknown": "1",
    }
    assert one(flags=3)["debug"] is True


@pytest.mark.parametrize(
    ("span", "said"),
    [
        ({**SPAN, "spanID": None}, "Jaeger data[0].spans[0]: id"),
        ({**SPAN, "traceID": "xyz"}, "data[0].spans[0]: "),
        ("span", "data[0].spans[0]: a span is a JSON object"),
        ({**SPAN, "tags": "a=b"}, "tags must be a list"),
        ({**SPAN, "references": "a"}, "references must be a list"),
        ({**SPAN, "logs": "a"}, "logs must be a list"),
        ({**SPAN, "process": "pay"}, "a process is a JSON object"),
    ],
)
def test_an_invalid_span_is_refused_with_its_place_and_the_others_are_taken(span: object, said: str) -> None:
    reader = SpanReader(ErrorRule())
    error, taken = reader.read(answer(span, SPAN))
    assert isinstance(error, InvalidInput)
    assert said in error.detail
    assert not isinstance(taken, InvalidInput)
    assert reader.formats == {"Jaeger": 1}


def test_an_empty_answer_has_no_spans() -> None:
    assert read({"data": [], "total": 0, "limit": 0, "offset": 0, "errors": None}) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*SPAN, "process", "tag", "x"]), JSON), JSON)
def test_no_input_raises(more: dict[str, object], other: object) -> None:
    assert len(read(answer({**SPAN, **more}))) == 1
    for name in "data", "spans", "processes", "process":
        assert isinstance(read({"traceID": "a", "spanID": "b", "spans": [SPAN], name: other}), list)
